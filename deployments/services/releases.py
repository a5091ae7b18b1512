"""Releases: made once, found again by their digest."""

from __future__ import annotations

import hashlib

from core.errors import Invalid
from deployments.models import Endpoint, Image, Release, Version
from wire.errors import Unreadable
from wire.manifest import canonical
from wire.serving import ServingConfig
from wire.signature import Signature


def serving_config(given: object, version: Version | None = None) -> dict[str, object]:
    """The whole serving configuration, defaults filled in, from what somebody asked for.

    Raises:
        Invalid: a field is unknown or out of its bounds, or not possible for this version.
    """
    try:
        config = ServingConfig.from_json(given or {})
    except Unreadable as problem:
        raise Invalid(problem.message, code="release:invalid-config") from problem
    if config.batch_rows and version is not None:
        _require_batches(version)
    return config.to_json()


def _require_batches(version: Version) -> None:
    """Only what the signature tells; a replica tries whether rows really keep apart."""
    if not Signature.from_json(version.signature).can_be_batched:
        raise Invalid(
            f"Version {version.number} cannot be batched: the first dimension of every input and"
            " output must be free.",
            code="release:invalid-config",
        )


def ensure(
    endpoint: Endpoint,
    version: Version,
    image: Image | None,
    config: dict[str, object],
    actor_id: str,
) -> Release:
    """The endpoint's release of exactly this version, image and configuration. Inside a
    transaction."""
    release, _ = Release.objects.get_or_create(
        endpoint=endpoint,
        digest=_digest(version, image.digest if image else "", config),
        defaults={
            "version": version,
            "image": image,
            "config": config,
            "created_by_id": actor_id or None,
        },
    )
    return release


def _digest(version: Version, image_digest: str, config: dict[str, object]) -> str:
    """SHA-256 of the canonical JSON of all that makes the release what it is. No time, no author:
    the same content is the same release."""
    content = {
        "version": {
            "model": version.model.name,
            "number": version.number,
            "artifact": version.artifact_id,
        },
        "image": image_digest,
        "config": config,
    }
    return "sha256:" + hashlib.sha256(canonical(content)).hexdigest()
