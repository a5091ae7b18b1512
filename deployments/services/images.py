"""Images: wanted by releases, made by builds, brought to hosts."""

from __future__ import annotations

import hashlib

from django.conf import settings

from core.errors import Conflict
from deployments.models import Environment, Host, Image, Version
from wire.manifest import canonical

_FORMAT = 1


def wanted(version: Version, environment: Environment) -> Image | None:
    """The image that a release of this version needs there; None where replicas are processes.
    Inside a transaction.

    Raises:
        Conflict: `image:no-base-image`, no Docker host of the environment has it.
    """
    hosts = Host.objects.filter(
        environment=environment, kind=Host.Kind.DOCKER, removed_at__isnull=True
    ).order_by("pk")
    if not hosts:
        return None
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


def _digest(version: Version, base_id: str) -> str:
    content = {
        "format": _FORMAT,
        "base": base_id,
        "artifact": version.artifact_id,
        "stored": version.artifact.stored_digest,
        "model": version.model.name,
        "version": version.number,
    }
    return "sha256:" + hashlib.sha256(canonical(content)).hexdigest()
