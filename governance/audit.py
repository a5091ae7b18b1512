"""The one audit writer. A change and its record are committed together or not at all."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.db import transaction

from core import clock, ids
from core.errors import Broken
from governance.domain import decide, events
from governance.domain.access import Actor, ActorKind, Subject
from governance.models import AuditEvent, Pseudonym

KEY_NAME = "audit"
_NONCE_BYTES = 12


def record(
    actor: Actor, action: str, subject: Subject, *, outcome: str = "done", **details: Any
) -> AuditEvent:
    """Write that `actor` did `action` to `subject`, inside the caller's transaction.

    Names, reasons and comments belong into `details`, which are encrypted; the ids in `subject`
    are not. Takes no lock: events are put into their order later.

    Raises:
        Broken: there is no transaction, or the action is not in the catalogue.
    """
    if not transaction.get_connection().in_atomic_block:
        raise Broken(f"{action} must be recorded in the transaction that does it.")
    decide.named(action)
    event_id = events.event_uuid(ids.new_ulid())
    occurred_at = clock.now()
    actor_ref = _ref(actor)
    body = events.body_of(
        event_id=event_id,
        occurred_at=occurred_at,
        actor=actor,
        actor_ref=actor_ref,
        action=action,
        subject=subject,
        outcome=outcome,
        policy_version="",
    )
    key, salt = settings.KEYS.raw(KEY_NAME), secrets.token_bytes(events.SALT_BYTES)
    sealed = events.seal(body, details, key=key, salt=salt, nonce=secrets.token_bytes(_NONCE_BYTES))
    return AuditEvent.objects.create(
        event_id=event_id,
        occurred_at=occurred_at,
        actor_ref=actor_ref,
        action=action,
        object_type=subject.kind,
        object_id=subject.id,
        outcome=outcome,
        request_id=actor.request_id,
        body=sealed.body,
        payload_ct=sealed.payload_ct,
        payload_key_id=events.key_id(key),
        salt=salt,
        payload_commit=sealed.payload_commit,
        leaf_hash=sealed.leaf_hash,
    )


def _ref(actor: Actor) -> str:
    """The pseudonym of the actor's account, made at its first event."""
    if actor.kind is ActorKind.SYSTEM:
        return actor.username
    if actor.ref:
        return actor.ref
    known = actor.memory.get("ref")
    if known is None:
        # Two first events at once: the account's row decides, and both get the same one.
        row, _ = Pseudonym.objects.get_or_create(
            user_id=actor.user_id, defaults={"ref": "person-" + secrets.token_hex(8)}
        )
        known = actor.memory["ref"] = row.ref
    return str(known)
