"""Keys of clients, as the control plane makes them, and some that it would not make."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.test import override_settings

from core.keys import KeyStore
from deployments.adapters import endpoint_keys

ALICE = "key_01J0000000000000000000A11C"
MALLORY = "key_01J0000000000000000000MA11"


def jwks() -> dict[str, Any]:
    return endpoint_keys.jwks()


def key(key_id: str = ALICE, *, environment: str = "staging", seconds: float = 3600.0) -> str:
    """The text of a key that is good for so long."""
    now = int(time.time())
    return endpoint_keys.mint(
        {
            "iss": endpoint_keys.ISSUER,
            "aud": environment,
            "sub": key_id,
            "jti": key_id,
            "iat": now,
            "exp": int(now + seconds),
        }
    )


def bearer(key_id: str = ALICE, **how: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {key(key_id, **how)}"}


def forged(folder: Path, key_id: str = ALICE) -> str:
    """Signed by another Slipway."""
    with override_settings(KEYS=KeyStore(folder)):
        return key(key_id)
