"""What both sides of the xDS endpoint must agree on."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

SNAPSHOT_CHANNEL = "slipway:snapshots"
"""Redis pub/sub channel; any message on it means "look for new generations now". Losing one costs
at most the time to the next regular look."""

OWN_CERTIFICATE = "own"
AUTHORITY = "authority"
LISTENER = "listener"
"""Secrets that the launcher keeps in files: the gateway's certificate for replicas, whom it
believes among them, and its certificate for clients."""

KEYS = "slipway.keys"
"""The filter that verifies clients' keys; the launcher keeps its configuration in a file too."""

KEY_ISSUER = "slipway"
"""Who says that a key is one: its `iss`."""


def new_token() -> str:
    """A gateway's token: 256 random bits, so that a plain hash of it is as good as a slow one."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def token_matches(token: str, stored_hash: str) -> bool:
    """Constant time in what the two hashes share."""
    return hmac.compare_digest(token_hash(token), stored_hash)


def watched_file(name: str) -> str:
    """Where the launcher writes it and Envoy watches it, from Envoy's working folder."""
    return f"watched/{name}.json"


def secret(name: str) -> dict[str, Any]:
    """How a cluster or a listener refers to it."""
    return {"name": name, "sds_config": file_source(name)}


def file_source(name: str) -> dict[str, Any]:
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": watched_file(name)},
    }
