"""What the views of this app share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import Malformed, NotFound
from deployments.api.shapes import OperationShape
from deployments.models import Rollout
from deployments.selectors import rollouts

T = TypeVar("T")

OPERATIONS = "/api/v1/operations"


def show(shape: type[serializers.Serializer[Any]], value: object) -> dict[str, Any]:
    return dict(shape(value).data)


def found(look: Callable[[], T]) -> T | None:
    """What `look` finds, or None where it raises NotFound."""
    try:
        return look()
    except NotFound:
        return None


def accepted(rollout: Rollout) -> Response:
    """202 with the operation that the latest change of this rollout began."""
    row = rollouts.operation_row(rollouts.newest_operation(rollout))
    address = f"{OPERATIONS}/{row.id}"
    headers = {"Location": address, "Operation-Location": address, "Retry-After": "1"}
    return Response(show(OperationShape, row), status=202, headers=headers)


def whole_parameter(request: Request, name: str, *, default: int, low: int, high: int) -> int:
    """
    Raises:
        Malformed: it is no number from `low` to `high`.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high):
        raise Malformed(f"`{name}` is a number from {low} to {high}.", code=f"invalid_{name}")
    return int(text)
