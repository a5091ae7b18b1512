"""The audit log, for those who may read it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from frontend.views.base import actor_of, page, show
from governance.selectors import events

_PAGE = 50
_FILTERS = (("actor", "Who"), ("action", "Action"), ("object", "Object id"))


@page("audit.read")
def listed(request: HttpRequest) -> HttpResponse:
    asked = {name: request.GET.get(name, "").strip()[:100] for name, _ in _FILTERS}
    offset = _offset(request.GET.get("from", ""))
    rows = events.visible(
        actor_of(request),
        action=asked["action"],
        object_id=asked["object"],
        actor_name=asked["actor"],
    ).order_by("-id")
    found = events.opened(rows[offset : offset + _PAGE + 1])
    kept = {name: value for name, value in asked.items() if value}
    context = {
        "events": [_shown(event) for event in found[:_PAGE]],
        "filters": [
            {"name": name, "label": label, "value": asked[name]} for name, label in _FILTERS
        ],
        "next_query": urlencode(kept | {"from": offset + _PAGE}) if len(found) > _PAGE else "",
        "curl": f'curl -H "Authorization: Bearer $TOKEN" {settings.CONFIG.web_url}'
        "/api/v1/audit-events",
    }
    return show(request, "frontend/pages/audit.html", context)


def _offset(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 8 else 0


def _shown(event: events.ShownEvent) -> dict[str, Any]:
    details = "Erased." if event.details is None else json.dumps(event.details, indent=2)
    return {
        "id": event.id,
        "occurred_at": event.occurred_at,
        "actor": event.actor_name or event.actor_ref,
        "action": event.action,
        "kind": event.object_type,
        "object_id": event.object_id,
        "outcome": event.outcome,
        "details": f"{details}\n\nrequest {event.request_id}\nleaf    {event.leaf_hash}",
    }
