"""/audit-events"""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import page_of_many
from core.api.schema import page_of, page_parameters
from governance.api.base import ApiView
from governance.api.shapes import AuditEventShape
from governance.models import AuditEvent
from governance.selectors import events
from governance.selectors.events import ShownEvent

_TIME = "occurred_at"
_FILTERS = [
    OpenApiParameter("action", str, description="Only this action."),
    OpenApiParameter("object", str, description="Only what happened to the thing with this id."),
    OpenApiParameter("actor", str, description="Only what this username, or `system`, did."),
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
        parameters=[*page_parameters(_TIME), *_FILTERS],
        responses={200: page_of(AuditEventShape)},
    )
    def get(self, request: Request) -> Response:
        asked = request.query_params
        rows = events.visible(
            self.actor,
            action=asked.get("action", ""),
            object_id=asked.get("object", ""),
            actor_name=asked.get("actor", ""),
        )
        return page_of_many(request, rows, _show_all, time_field=_TIME)


class OneAuditEvent(ApiView):
    actions: ClassVar = {"GET": "audit.read"}

    @extend_schema(responses={200: AuditEventShape})
    def get(self, request: Request, event_id: str) -> Response:
        del request
        return Response(show(events.one(self.actor, event_id)))
