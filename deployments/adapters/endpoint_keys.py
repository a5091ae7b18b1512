"""Endpoint keys as text: JSON web tokens (RFC 7519) signed with EdDSA (RFC 8037).

A gateway verifies them with the public half alone, which `jwks` gives; so nothing secret of the
control plane's ever reaches a gateway. The claims say who signed (`iss`), for which environment
(`aud`), which key it is (`jti` and `sub`: the public id of its row) and from when until when. What
a key may do is not in it: gateways are told that with the routes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

KEY_NAME = "endpoint-keys"
ISSUER = "slipway"


def mint(claims: Mapping[str, Any]) -> str:
    """A signed token with these claims and nothing else."""
    header = {"alg": "EdDSA", "typ": "JWT", "kid": _key_id()}
    signed = f"{_encoded(header)}.{_encoded(claims)}"
    return f"{signed}.{_base64url(_signing_key().sign(signed.encode()))}"


def jwks() -> dict[str, Any]:
    """What verifies the tokens, as a JSON web key set (RFC 7517). Holds nothing secret."""
    key = {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": _base64url(_public_bytes()),
        "kid": _key_id(),
        "alg": "EdDSA",
        "use": "sig",
    }
    return {"keys": [key]}


def _signing_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(settings.KEYS.raw(KEY_NAME))


def _public_bytes() -> bytes:
    return _signing_key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _key_id() -> str:
    return hashlib.sha256(_public_bytes()).hexdigest()[:16]


def _encoded(part: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(dict(part), separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
