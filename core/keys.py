"""The control plane's own keys: made once, kept in one folder that only its user can read.

secrets/django        Django's SECRET_KEY
secrets/signing       Ed25519 private key, raw: signs release manifests
secrets/release       32 bytes: the telemetry secret of each release is derived from it
secrets/audit         32 bytes: encrypts the payloads of audit events
secrets/endpoint-keys Ed25519 private key, raw: signs the keys of clients
secrets/seal-<what>   32 bytes: encrypts what `seal` is given, such as the keys of artifacts;
                      seal-<what>.2, .3 and so on once it was rotated
secrets/ca.key        the internal authority (`core.pki`)
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core import clock
from core.errors import Broken
from wire import manifest, tokens

_KEY_BYTES = 32
_NONCE_BYTES = 12
_PURPOSE = re.compile(r"[a-z][a-z-]{0,30}")


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

    def seal(self, purpose: str, data: bytes, aad: str) -> str:
        """`data` encrypted for storing, by the newest key of this purpose. It opens only with the
        same `aad`: say there what it belongs to."""
        generation = self.generation(purpose)
        # The first key is made when it is missed, a later one only by `rotate`.
        key = self.raw(_file_name(purpose, generation))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = _cipher(purpose, key).encrypt(nonce, data, aad.encode())
        return f"{generation}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def unseal(self, purpose: str, text: str, aad: str) -> bytes:
        """What `seal` was given.

        Raises:
            Broken: `keys:not-opened`: altered, of something else, or its key is gone.
        """
        number, _, sealed = text.partition(".")
        try:
            raw = base64.b64decode(sealed, altchars=b"-_", validate=True)
            key = self._read(self.folder / _file_name(purpose, int(number)))
            cipher = _cipher(purpose, key)
            return cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], aad.encode())
        except (InvalidTag, ValueError, FileNotFoundError) as problem:
            raise Broken(
                f"What was encrypted as {purpose!r} cannot be opened: it was altered, or the key"
                " that encrypted it is not here.",
                code="keys:not-opened",
            ) from problem

    def generation(self, purpose: str) -> int:
        """Which key of this purpose seals now; 1 until it is rotated."""
        return max(self._generations(purpose), default=1)

    def rotate(self, purpose: str) -> int:
        """Make a new key for what is sealed from now on; its generation. The older ones stay: they
        open what they have sealed."""
        generation = max(self._generations(purpose), default=0) + 1
        self.raw(_file_name(purpose, generation))
        return generation

    def superseded(self, purpose: str, *, for_seconds: float) -> list[int]:
        """The older keys of this purpose whose next one was made at least so long ago."""
        made = {
            number: (self.folder / _file_name(purpose, number)).stat().st_mtime
            for number in sorted(self._generations(purpose))
        }
        later = list(made)[1:]
        limit = clock.timestamp() - for_seconds
        return [older for older, newer in zip(made, later, strict=False) if made[newer] <= limit]

    def retire(self, purpose: str, generation: int) -> None:
        """Delete an older key. What it has sealed never opens again.

        Raises:
            ValueError: it is the newest.
        """
        if generation >= self.generation(purpose):
            raise ValueError("the newest key is in use")
        (self.folder / _file_name(purpose, generation)).unlink(missing_ok=True)

    def _generations(self, purpose: str) -> list[int]:
        first = _file_name(purpose, 1)
        found = [1] if (self.folder / first).exists() else []
        numbers = (path.suffix[1:] for path in self.folder.glob(f"{first}.*"))
        return found + [int(number) for number in numbers if number.isdecimal()]

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


def _cipher(purpose: str, key: bytes) -> AESGCM:
    derive = HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=b"seal\n" + purpose.encode())
    return AESGCM(derive.derive(key))


def _file_name(purpose: str, generation: int) -> str:
    if not _PURPOSE.fullmatch(purpose):
        raise ValueError(f"{purpose!r} is no purpose")
    return f"seal-{purpose}" if generation == 1 else f"seal-{purpose}.{generation}"
