"""The control plane's own keys: made once, kept in one folder that only its user can read.

secrets/django        Django's SECRET_KEY
secrets/signing       Ed25519 private key, raw: signs release manifests
secrets/release       32 bytes: the telemetry secret of each release is derived from it
secrets/audit         32 bytes: encrypts the payloads of audit events
"""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.errors import Broken
from wire import manifest, tokens

_KEY_BYTES = 32


class KeyStore:
    """Reads keys from `folder`, making those that are absent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def raw(self, name: str) -> bytes:
        """32 random bytes under `name`, the same for every process that asks.

        Raises:
            Broken: the file holds something else, or other users could read it.
        """
        path = self.folder / name
        try:
            return self._read(path)
        except FileNotFoundError:
            self._create(path)
            return self._read(path)

    def text(self, name: str) -> str:
        return base64.urlsafe_b64encode(self.raw(name)).decode().rstrip("=")

    def signing_key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.raw("signing"))

    def trust(self) -> str:
        """The public half of the signing key, as replicas take it."""
        return manifest.trust_text(self.signing_key().public_key())

    def telemetry_token(self, release_id: str, replica_id: str) -> str:
        """HMAC(release secret, replica id): held by the replica, derived again by the collector."""
        secret = tokens.release_secret(self.raw("release"), release_id)
        return tokens.telemetry_token(secret, replica_id)

    @staticmethod
    def _read(path: Path) -> bytes:
        value = path.read_bytes()
        if len(value) != _KEY_BYTES:
            raise Broken(f"The key file {path.name} does not hold {_KEY_BYTES} bytes.")
        if path.stat().st_mode & 0o077:
            raise Broken(f"The key file {path.name} can be read by others; make it 0600.")
        return value

    def _create(self, path: Path) -> None:
        """Link a finished file into place: of two processes at once, one wins and both agree."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.folder / f".{path.name}.{secrets.token_hex(8)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
