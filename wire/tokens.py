"""Secrets that both sides can name without storing them: derived, never random, never on disk."""

from __future__ import annotations

import base64
import hashlib
import hmac


def release_secret(control_plane_key: bytes, release: str) -> bytes:
    """The secret of one release; it never leaves the control plane."""
    return hmac.digest(control_plane_key, b"release secret\n" + release.encode(), hashlib.sha256)


def telemetry_token(secret: bytes, replica: str) -> str:
    """The bearer token of one replica's telemetry endpoint."""
    digest = hmac.digest(secret, replica.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def same(given: str | bytes, expected: str) -> bool:
    """Compares in constant time; anything that is not the expected text is simply not the same."""
    raw = given if isinstance(given, bytes) else given.encode("utf-8", "surrogatepass")
    return hmac.compare_digest(raw, expected.encode())
