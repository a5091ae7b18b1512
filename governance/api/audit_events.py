"""/audit-events"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import page_of_many
from core.api.schema import PAGE_PARAMETERS, page_of
from core.errors import Malformed
from governance.api.base import ApiView
from governance.api.shapes import AuditEventShape
from governance.models import AuditEvent
from governance.selectors import events
from governance.selectors.events import ShownEvent

_FILTERS = [
    OpenApiParameter("action", str, description="Only this action."),
    OpenApiParameter("object", str, description="Only what happened to the thing with this id."),
    OpenApiParameter("actor", str, description="Only what this username, or `system`, did."),
    OpenApiParameter("occurred_after", datetime, description="From this moment on."),
    OpenApiParameter("occurred_before", datetime, description="Before this moment."),
]


def show(event: ShownEvent) -> dict[str, Any]:
    shown = {
        "id": event.id,
        "occurred_at": event.occurred_at,
        "actor": {"ref": event.actor_ref, "username": event.actor_name},
        "action": event.action,
        "object": {"type": event.object_type, "id": event.object_id},
        "outcome": event.outcome,
        "details": event.details,
        "request_id": event.request_id,
        "leaf_hash": event.leaf_hash,
    }
    return dict(AuditEventShape(shown).data)


def _show_all(rows: list[AuditEvent]) -> list[dict[str, Any]]:
    return [show(event) for event in events.opened(rows)]


class AuditEvents(ApiView):
    actions: ClassVar = {"GET": "audit.read"}

    @extend_schema(
        parameters=[*PAGE_PARAMETERS, *_FILTERS], responses={200: page_of(AuditEventShape)}
    )
    def get(self, request: Request) -> Response:
        asked = request.query_params
        rows = events.visible(
            self.actor,
            action=asked.get("action", ""),
            object_id=asked.get("object", ""),
            actor_name=asked.get("actor", ""),
            after=_moment(request, "occurred_after"),
            before=_moment(request, "occurred_before"),
        )
        return page_of_many(request, rows, _show_all, time_field="occurred_at")


class OneAuditEvent(ApiView):
    actions: ClassVar = {"GET": "audit.read"}

    @extend_schema(responses={200: AuditEventShape})
    def get(self, request: Request, event_id: str) -> Response:
        del request
        return Response(show(events.one(self.actor, event_id)))


def _moment(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 1970 <= moment.year <= 9998:
        raise Malformed(
            f"`{name}` is a time such as 2026-01-31T12:00:00Z.", code="invalid_parameter"
        )
    return moment
