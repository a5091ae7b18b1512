"""Starting one replica: its signed release manifest, its artifact, its host."""

from __future__ import annotations

import base64
from pathlib import Path

from django.conf import settings

from core import clock
from core.errors import Broken
from deployments.adapters import artifact_store
from deployments.models import ImageCopy, Release, Replica
from deployments.ports import ContainerHost, HostRefused, Limits, ObservedReplica, ReplicaPlan
from wire import identity
from wire.manifest import ReleaseManifest, ReplicaTls, sign
from wire.serving import ServingConfig
from wire.signature import Signature

# How long a manifest may wait to be read; a replica reads it at once.
_START_WITHIN_SECONDS = 3600


def run(copy: Replica, host: ContainerHost) -> ObservedReplica | None:
    """Have the host start this replica; where it is, if the host knows at once. Repeatable: a host
    starts a replica id once.

    Raises:
        HostRefused: also when its artifact or the key of that is missing or altered.
    """
    try:
        return host.start(_plan(copy))
    except HostRefused:
        raise
    except Broken as problem:
        raise HostRefused(problem.detail, code=problem.stable_code) from problem


def _plan(copy: Replica) -> ReplicaPlan:
    release = Release.objects.select_related(
        "version__artifact", "endpoint__model", "endpoint__environment", "image"
    ).get(pk=copy.release_id)
    digest = release.version.artifact_id
    config = ServingConfig.from_json(release.config)

    def place(folder: Path) -> Path:
        return artifact_store.materialize(digest, folder)

    return ReplicaPlan(
        replica=copy.public_id,
        manifest=sign(_manifest(copy, release), settings.KEYS.signing_key()),
        trust=settings.KEYS.trust(),
        place_artifact=place,
        limits=Limits(config.memory_bytes, config.cpus, config.pids),
        image=_image(copy, release),
        labels={
            "slipway.endpoint": release.endpoint.model.name,
            "slipway.environment": release.endpoint.environment.name,
            "slipway.release": release.public_id,
            "slipway.version": str(release.version.number),
        },
    )


def _image(copy: Replica, release: Release) -> str:
    """What the host's own Engine calls the release's image."""
    if release.image is None:
        return ""
    held = ImageCopy.objects.filter(image=release.image, host=copy.host_id).first()
    return (held and held.engine_id) or release.image.engine_id


def _manifest(copy: Replica, release: Release) -> ReleaseManifest:
    issued_at = int(clock.timestamp())
    artifact = artifact_store.encrypted(release.version.artifact_id)
    return ReleaseManifest(
        release=release.public_id,
        release_digest=release.digest,
        endpoint=release.endpoint.model.name,
        environment=release.endpoint.environment.name,
        version=release.version.number,
        artifact_digest=artifact.digest,
        signature=Signature.from_json(release.version.signature),
        config=ServingConfig.from_json(release.config),
        replica=copy.public_id,
        telemetry_token=settings.KEYS.telemetry_token(release.public_id, copy.public_id),
        issued_at=issued_at,
        expires_at=issued_at + _START_WITHIN_SECONDS,
        artifact_key=base64.b64encode(artifact_store.key_of(artifact)).decode(),
        allow_nonfinite=release.version.allow_nonfinite,
        tls=_tls(copy, release),
    )


def _tls(copy: Replica, release: Release) -> ReplicaTls:
    name = identity.replica(release.endpoint.environment.name, release.public_id, copy.public_id)
    issued = settings.AUTHORITY.issue(name, hours=settings.CONFIG.certificate_hours)
    return ReplicaTls(issued.certificate, issued.key, settings.AUTHORITY.pem)
