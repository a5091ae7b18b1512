"""Rows of artifacts for tests that never read the file."""

from __future__ import annotations

from django.conf import settings

from deployments.adapters.artifact_store import PURPOSE
from deployments.models import Artifact

KEY = bytes(range(32))


def row(letter: str = "a") -> Artifact:
    """An artifact that is stored encrypted, as far as its row says."""
    digest = "sha256:" + letter * 64
    return Artifact.objects.create(
        digest=digest,
        size=1,
        storage_name=letter,
        stored_digest="sha256:" + "5" * 64,
        wrapped_key=settings.KEYS.seal(PURPOSE, KEY, digest),
    )
