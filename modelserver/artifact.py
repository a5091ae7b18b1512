"""The model's bytes: decrypted in memory, checked, and never on a disk."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from pathlib import Path

from wire import envelope
from wire.errors import ManifestRefused, Unreadable
from wire.manifest import ReleaseManifest


def read(path: Path, manifest: ReleaseManifest) -> bytes:
    """Exactly what the manifest names. A manifest without a key means a file that is not encrypted.

    Raises ManifestRefused: artifact:unreadable, artifact:digest-mismatch, or an `envelope:` code.
    """
    try:
        if manifest.artifact_key:
            return _decrypted(path, manifest)
        blob = path.read_bytes()
    except OSError as problem:
        message = f"The artifact cannot be read: {os.strerror(problem.errno or 0)}."
        raise ManifestRefused("artifact:unreadable", message) from problem
    if "sha256:" + hashlib.sha256(blob).hexdigest() != manifest.artifact_digest:
        message = "The artifact is not the one that the manifest names: its digest differs."
        raise ManifestRefused("artifact:digest-mismatch", message)
    return blob


def _decrypted(path: Path, manifest: ReleaseManifest) -> bytes:
    try:
        key = base64.b64decode(manifest.artifact_key, validate=True)
        with path.open("rb") as file:
            return envelope.decrypt_bytes(file, key, digest=manifest.artifact_digest)
    except Unreadable as problem:
        raise ManifestRefused(problem.code, problem.message) from problem
    except binascii.Error as problem:
        message = "The key of the artifact is not base64."
        raise ManifestRefused("envelope:bad-key", message) from problem
