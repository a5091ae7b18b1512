"""The audit log, opened for those who may read it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from core import ids
from core.errors import Broken, NotFound
from governance import authorize
from governance.domain import events
from governance.domain.access import Actor, shown_id
from governance.models import AuditEvent, Pseudonym

KEY_NAME = "audit"


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """One event as a reader sees it. `details` is None once it has been erased, or cannot be
    opened with the key that is here; the leaf then still proves that it happened."""

    id: str
    occurred_at: datetime
    actor_ref: str
    actor_name: str | None
    action: str
    object_type: str
    object_id: str
    outcome: str
    details: Mapping[str, Any] | None
    request_id: str
    leaf_hash: str


def visible(
    actor: Actor,
    *,
    action: str = "",
    object_id: str = "",
    actor_name: str = "",
) -> QuerySet[AuditEvent]:
    """Events that match, unopened. The log is one for all: reading it takes a role everywhere."""
    rows = authorize.visible(actor, "audit.read", AuditEvent.objects.all())
    if action:
        rows = rows.filter(action=action)
    if object_id:
        rows = rows.filter(object_id=object_id.rpartition("_")[2])
    if actor_name:
        known = Pseudonym.objects.filter(user__username=actor_name).values_list("ref", flat=True)
        rows = rows.filter(actor_ref__in=[*known, actor_name])
    return rows


def one(actor: Actor, public_id: str) -> ShownEvent:
    """
    Raises:
        NotFound: there is none, or it is not for this actor.
    """
    event_id = events.event_uuid(ids.parse(public_id, AuditEvent.PREFIX))
    row = visible(actor).filter(event_id=event_id).first()
    if row is None:
        raise NotFound("There is no such audit event.")
    return opened([row])[0]


def opened(rows: Iterable[AuditEvent]) -> list[ShownEvent]:
    """Decrypt some rows that came from `visible`; one query for the names of all."""
    kept = list(rows)
    known = Pseudonym.objects.select_related("user").filter(
        ref__in={row.actor_ref for row in kept}, user__isnull=False
    )
    names = {pseudonym.ref: pseudonym.user.username for pseudonym in known if pseudonym.user}
    key = settings.KEYS.raw(KEY_NAME)
    return [_shown(row, names.get(row.actor_ref), key) for row in kept]


def _shown(row: AuditEvent, actor_name: str | None, key: bytes) -> ShownEvent:
    return ShownEvent(
        id=ids.public(AuditEvent.PREFIX, events.event_ulid(row.event_id)),
        occurred_at=row.occurred_at,
        actor_ref=row.actor_ref,
        actor_name=actor_name,
        action=row.action,
        object_type=row.object_type,
        object_id=shown_id(row.object_type, row.object_id),
        outcome=row.outcome,
        details=_details(row, key),
        request_id=row.request_id,
        leaf_hash=row.leaf_hash,
    )


def _details(row: AuditEvent, key: bytes) -> Mapping[str, Any] | None:
    if row.payload_ct is None:
        return None
    try:
        plain = events.open_payload(row.event_id, bytes(row.payload_ct), key)
    except Broken:
        return None
    details: Mapping[str, Any] = json.loads(plain)
    return details
