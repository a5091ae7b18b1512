"""Signed JSON: the form of everything that a replica must not act on unless it is the control
plane's.

The signature is over the exact bytes of the payload, which travel inside the envelope: they are
verified before anything in them is parsed, and no second encoder has to arrive at the same bytes.
The payload is canonical JSON (RFC 8785) all the same, so that equal content has one digest.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from wire.errors import ManifestRefused
from wire.fields import Fields


def canonical(value: Mapping[str, object]) -> bytes:
    """Canonical JSON (RFC 8785): the form of everything that is hashed or signed."""
    return rfc8785.dumps(value)  # type: ignore[arg-type]  # its recursive alias knows dict, not Mapping


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of signed message. `name` is what sentences call it; the purpose keeps a signature
    that was made for one kind from being accepted for another one of the same key."""

    name: str
    format: int
    longest: int

    @property
    def purpose(self) -> bytes:
        return f"slipway {self.name} {self.format}\n".encode()

    def seal(self, content: Mapping[str, object], private_key: Ed25519PrivateKey) -> bytes:
        """The signed envelope; the same bytes for the same content and key."""
        payload = canonical(content)
        return canonical(
            {
                "format": self.format,
                "payload": base64.b64encode(payload).decode(),
                "signature": base64.b64encode(private_key.sign(self.purpose + payload)).decode(),
            }
        )

    def open(self, blob: bytes, public_key: Ed25519PublicKey) -> object:
        """The JSON value inside, once its signature has been verified.

        Raises:
            ManifestRefused: `manifest:` and one of empty, too-large, malformed, bad-signature,
                unsupported-format.
            Unreadable: `manifest:invalid`, the envelope itself has another form.
        """
        if not blob.strip():
            raise ManifestRefused("manifest:empty", f"There is no {self.name}.")
        if len(blob) > self.longest:
            raise ManifestRefused(
                "manifest:too-large", f"The {self.name} is larger than {self.longest} bytes."
            )
        return self._load(self._verified(blob, public_key))

    def _verified(self, blob: bytes, public_key: Ed25519PublicKey) -> bytes:
        envelope = Fields(self._load(blob), kind="manifest", where="signed envelope")
        if envelope.take("format") != self.format:
            raise ManifestRefused(
                "manifest:unsupported-format", f"Only envelopes of format {self.format} are read."
            )
        try:
            payload = base64.b64decode(
                envelope.text("payload", longest=self.longest), validate=True
            )
            signature = base64.b64decode(envelope.text("signature", longest=200), validate=True)
        except (binascii.Error, ValueError) as problem:
            raise ManifestRefused(
                "manifest:malformed", "The signed envelope is not base64."
            ) from problem
        envelope.close()
        try:
            public_key.verify(signature, self.purpose + payload)
        except InvalidSignature as problem:
            raise ManifestRefused(
                "manifest:bad-signature", f"The {self.name} is not signed by the trusted key."
            ) from problem
        return payload

    def _load(self, blob: bytes) -> object:
        try:
            return json.loads(blob)
        except (ValueError, RecursionError) as problem:
            raise ManifestRefused(
                "manifest:malformed", f"The {self.name} is not JSON."
            ) from problem


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
