"""What is said in an image about the version that it holds; see `wire.version_manifest`."""

from __future__ import annotations

from django.conf import settings

from deployments.models import Version
from wire import version_manifest
from wire.signature import Signature
from wire.version_manifest import VersionManifest


def signed(version: Version) -> bytes:
    """The same bytes for the same version, as long as the signing key is the same. Needs
    `version.artifact`, encrypted, and `version.model`."""
    manifest = VersionManifest(
        model=version.model.name,
        version=version.number,
        artifact_digest=version.artifact.digest,
        stored_digest=version.artifact.stored_digest,
        signature=Signature.from_json(version.signature),
        allow_nonfinite=version.allow_nonfinite,
    )
    return version_manifest.sign(manifest, settings.KEYS.signing_key())
