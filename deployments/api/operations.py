"""/operations"""

from __future__ import annotations

import time
from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import page
from core.api.schema import PAGE_PARAMETERS, page_of
from deployments.adapters import database
from deployments.api.answers import show, whole_parameter
from deployments.api.shapes import OperationShape
from deployments.models import Operation
from deployments.selectors import gate, rollouts
from deployments.selectors.cards import OperationRow
from governance.api.base import ApiView
from governance.domain.access import Actor

MAX_WAIT_SECONDS = 30
_LOOK_EVERY_SECONDS = 0.2
_UNFINISHED = ("queued", "running")
_WAIT = OpenApiParameter(
    "wait",
    {"type": "integer", "minimum": 0, "maximum": MAX_WAIT_SECONDS},
    description="Answer when it has ended, or after so many seconds.",
)


class Operations(ApiView):
    actions: ClassVar = {"GET": "endpoint.read"}

    @extend_schema(parameters=PAGE_PARAMETERS, responses={200: page_of(OperationShape)})
    def get(self, request: Request) -> Response:
        return page(request, gate.operations(self.actor), _show)


class OneOperation(ApiView):
    actions: ClassVar = {"GET": "endpoint.read"}

    @extend_schema(parameters=[_WAIT], responses={200: OperationShape})
    def get(self, request: Request, operation_id: str) -> Response:
        seconds = whole_parameter(request, "wait", default=0, low=0, high=MAX_WAIT_SECONDS)
        row = _ended(self.actor, operation_id, seconds)
        headers = {"Retry-After": "1"} if row.status in _UNFINISHED else {}
        return Response(show(OperationShape, row), headers=headers)


def _show(operation: Operation) -> dict[str, object]:
    return show(OperationShape, rollouts.operation_row(operation))


def _ended(actor: Actor, operation_id: str, seconds: float) -> OperationRow:
    """The operation once it has ended, or after so many seconds. Between two looks it holds a
    thread of this process and no connection."""
    deadline = time.monotonic() + seconds
    while True:
        row = rollouts.operation(actor, operation_id)
        left = deadline - time.monotonic()
        if row.status not in _UNFINISHED or left <= 0:
            return row
        database.let_go()
        time.sleep(min(_LOOK_EVERY_SECONDS, left))
