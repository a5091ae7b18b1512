"""Problem details (RFC 9457): the one form in which the API says no."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework import serializers

from core.errors import FieldProblem

CONTENT_TYPE = "application/problem+json"


def document(
    *,
    status: int,
    code: str,
    title: str,
    detail: str,
    instance: str,
    request_id: str,
    problems: Sequence[FieldProblem] = (),
    help_text: str = "",
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """`extra` comes first, so that it can never change what the standard members say."""
    answer: dict[str, Any] = dict(extra or {})
    answer |= {
        "type": f"/docs/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
        "request_id": request_id,
    }
    if problems:
        answer["errors"] = [
            {"pointer": p.pointer, "code": p.code, "detail": p.detail} for p in problems
        ]
    if help_text:
        answer["help"] = help_text
    return answer


def flatten(detail: Any, pointer: str = "") -> list[FieldProblem]:
    """DRF's nested error lists as JSON pointers into the request."""
    if isinstance(detail, Mapping):
        return [
            problem
            for name, inner in detail.items()
            for problem in flatten(inner, _below(pointer, str(name)))
        ]
    if isinstance(detail, list):
        if all(isinstance(inner, str) for inner in detail):
            return [problem for inner in detail for problem in flatten(inner, pointer)]
        return [
            problem
            for index, inner in enumerate(detail)
            for problem in flatten(inner, _below(pointer, str(index)))
        ]
    return [FieldProblem(pointer, getattr(detail, "code", None) or "invalid", str(detail))]


def _below(pointer: str, name: str) -> str:
    if name == "non_field_errors":
        return pointer
    return f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"


class FieldProblemShape(serializers.Serializer[Any]):
    """One wrong place in the request."""

    pointer = serializers.CharField(help_text="JSON pointer into the request")
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemShape(serializers.Serializer[Any]):
    """Why a request was refused (RFC 9457). Other members may follow."""

    type = serializers.CharField(help_text="address of a page about this kind of problem")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="one sentence for people")
    instance = serializers.CharField()
    code = serializers.CharField(help_text="stable, for programs")
    request_id = serializers.CharField()
    errors = FieldProblemShape(many=True, required=False)  # type: ignore[assignment]
    help = serializers.CharField(required=False, help_text="what to do next")
