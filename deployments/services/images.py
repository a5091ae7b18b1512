"""Images: wanted by releases, made by builds, brought to hosts."""

from __future__ import annotations

import hashlib

from django.conf import settings

from core.errors import Conflict
from deployments import supply
from deployments.adapters import artifact_store, version_manifests
from deployments.models import Environment, Image, Version
from deployments.selectors import images as selectors
from wire import version_manifest
from wire.manifest import canonical

_FORMAT = 1


def prepare(version: Version, environment: Environment) -> None:
    """What takes too long for a transaction and must come before `wanted`: an artifact that still
    lies in the storage plain is encrypted.

    Raises:
        Broken: `artifact:missing` or `artifact:corrupted`.
    """
    if selectors.docker_hosts(environment.pk).exists():
        version.artifact = artifact_store.encrypted(version.artifact_id)


def wanted(version: Version, environment: Environment) -> Image | None:
    """The image that a release of this version needs there; None where replicas are processes.
    Inside a transaction.

    Raises:
        Conflict: `image:no-base-image`, no Docker host of the environment has it.
    """
    hosts = list(selectors.docker_hosts(environment.pk))
    if not hosts:
        return None
    hosts.sort(key=lambda host: (not selectors.answers(host), host.pk))
    bases = [host.engine["base_id"] for host in hosts if host.engine.get("base_id")]
    if not bases:
        raise Conflict(
            f"No Docker host of {environment.name!r} has the image {settings.CONFIG.base_image},"
            " on which versions are built. `make base-image` makes it.",
            code="image:no-base-image",
        )
    image, _ = Image.objects.get_or_create(
        digest=_digest(version, bases[0]),
        defaults={
            "version": version,
            "base_reference": settings.CONFIG.base_image,
            "base_id": bases[0],
        },
    )
    return image


def bring(image: Image | None, environment: Environment) -> None:
    """Queue what is missing for the environment's hosts to have it. Inside a transaction."""
    if image is not None:
        supply.supply(image, environment.pk, again=True)


def _digest(version: Version, base_id: str) -> str:
    """Of all that goes into the image, and known before it is built. The manifest names the
    artifact by both its digests."""
    content = {
        "format": _FORMAT,
        "base": base_id,
        "manifest": version_manifest.digest(version_manifests.signed(version)),
    }
    return "sha256:" + hashlib.sha256(canonical(content)).hexdigest()
