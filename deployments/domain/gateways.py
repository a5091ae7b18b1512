"""What both sides of the xDS endpoint must agree on."""

from __future__ import annotations

import hashlib
import hmac
import secrets

SNAPSHOT_CHANNEL = "slipway:snapshots"
"""Redis pub/sub channel; any message on it means "look for new generations now". Losing one costs
at most the time to the next regular look."""


def new_token() -> str:
    """A gateway's token: 256 random bits, so that a plain hash of it is as good as a slow one."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def token_matches(token: str, stored_hash: str) -> bool:
    """Constant time in what the two hashes share."""
    return hmac.compare_digest(token_hash(token), stored_hash)
