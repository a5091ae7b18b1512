"""The shape of an audit event: what is hashed, what is hidden, how it is encrypted.

The leaf is RFC 8785 canonical JSON of the body together with the commitment to the payload, hashed
as RFC 6962 does. The body names people by pseudonym only. The payload holds whatever may be
personal; its commitment is an HMAC under a random salt, so that without the salt it says nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors import Broken
from governance.domain.access import Actor, Subject

FORMAT = 1
SALT_BYTES = 32
_NONCE_BYTES = 12
_LEAF_PREFIX = b"\x00"
# Beyond it a JSON number is not the same number to every reader, and RFC 8785 refuses it.
_EXACT = 2**53 - 1
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Sealed:
    """An event as its row keeps it."""

    body: str
    payload_ct: bytes
    payload_commit: str
    leaf_hash: str


def body_of(
    *,
    event_id: uuid.UUID,
    occurred_at: datetime,
    actor: Actor,
    actor_ref: str,
    action: str,
    subject: Subject,
    outcome: str,
    policy_version: str,
) -> dict[str, Any]:
    scope = {
        "team": subject.team_id,
        "environment": subject.environment_id,
        "model": subject.model_id,
    }
    return {
        "format": FORMAT,
        "event": str(event_id),
        "at": occurred_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "actor": {"ref": actor_ref, "kind": actor.kind.value, "token": actor.token_id or ""},
        "action": action,
        "object": {"type": subject.kind, "id": subject.id},
        "scope": {kind: value for kind, value in scope.items() if value},
        "outcome": outcome,
        "policy_version": policy_version,
        "request_id": actor.request_id,
    }


def seal(
    body: Mapping[str, Any], payload: Mapping[str, Any], *, key: bytes, salt: bytes, nonce: bytes
) -> Sealed:
    """The row of an event. `nonce` and `salt` are random and never used twice."""
    plain = rfc8785.dumps(plainly(payload))
    commit = commitment(salt, plain)
    text = rfc8785.dumps(dict(body))
    sealed = AESGCM(key).encrypt(nonce, plain, str(body["event"]).encode())
    return Sealed(text.decode(), nonce + sealed, commit, leaf_hash(body, commit))


def open_payload(event_id: uuid.UUID, payload_ct: bytes, key: bytes) -> bytes:
    """The canonical payload again.

    Raises:
        Broken: the bytes were changed, belong to another event, or another key sealed them.
    """
    nonce, sealed = payload_ct[:_NONCE_BYTES], payload_ct[_NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, sealed, str(event_id).encode())
    except (InvalidTag, ValueError) as problem:
        raise Broken(f"The payload of audit event {event_id} cannot be opened.") from problem


def commitment(salt: bytes, canonical_payload: bytes) -> str:
    return hmac.digest(salt, canonical_payload, "sha256").hex()


def leaf_hash(body: Mapping[str, Any], payload_commit: str) -> str:
    leaf = rfc8785.dumps({**body, "payload_commit": payload_commit})
    return hashlib.sha256(_LEAF_PREFIX + leaf).hexdigest()


def key_id(key: bytes) -> str:
    """Names a key without telling anything about it."""
    return hashlib.sha256(b"slipway audit key id" + key).hexdigest()[:16]


def plainly(value: Any) -> Any:
    """`value` as JSON that canonicalises: an odd value is written as text, never refused, because
    a record of what was done must not undo it."""
    match value:
        case None | bool():
            return value
        case Enum():
            return plainly(value.value)
        case str():
            return value.encode("utf-8", "replace").decode()
        case int():
            return value if abs(value) <= _EXACT else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime() | date():
            return value.isoformat()
        case Mapping():
            return {plainly(str(name)): plainly(item) for name, item in value.items()}
        case list() | tuple():
            return [plainly(item) for item in value]
        case set() | frozenset():
            return [plainly(item) for item in sorted(value, key=str)]
    return plainly(str(value))


def event_uuid(ulid: str) -> uuid.UUID:
    """A ULID is 128 bits like a UUID: the same id, in the column's form."""
    number = 0
    for letter in ulid:
        number = number * 32 + _CROCKFORD.index(letter)
    return uuid.UUID(int=number)


def event_ulid(event_id: uuid.UUID) -> str:
    return "".join(_CROCKFORD[(event_id.int >> shift) & 31] for shift in range(125, -1, -5))
