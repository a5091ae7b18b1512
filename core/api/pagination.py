"""Cursor pages in the order of (created_at, id): stable while rows come and go."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet
from django.utils.dateparse import parse_datetime
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from core.errors import Malformed

Row = TypeVar("Row", bound=Model)

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MICROSECOND = int((datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH).total_seconds()) * 10**6
_KEY = re.compile(r"[0-9A-Za-z]{1,40}")
_LARGEST_KEY = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page."""

    at: datetime
    key: str

    def text(self) -> str:
        microseconds = (self.at - _EPOCH) // timedelta(microseconds=1)
        packed = json.dumps([microseconds, self.key], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """
        Raises:
            Malformed: we never gave out such a cursor.
        """
        try:
            packed = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
            microseconds, key = json.loads(packed)
            if type(microseconds) is not int or not 0 <= microseconds <= _LAST_MICROSECOND:
                raise ValueError("no time")
            if not isinstance(key, str) or not _KEY.fullmatch(key):
                raise ValueError("no key")
        except (ValueError, TypeError, binascii.Error, RecursionError) as problem:
            raise Malformed(
                "This cursor is not one of ours; start again without it.", code="invalid_cursor"
            ) from problem
        return cls(_EPOCH + timedelta(microseconds=microseconds), key)


def page(
    request: Request,
    queryset: QuerySet[Row],
    show: Callable[[Row], Any],
    *,
    time_field: str = "created_at",
    newest_first: bool = True,
) -> Response:
    """One page of `queryset` as `{"items", "next_cursor"}`, with a Link to the next.

    Takes `limit` (1 to 200), `cursor`, `sort` (the time field, or `-` before it), `count=exact`,
    and moments between which the rows lie, named after the time field: `created_after` and
    `created_before`.

    Raises:
        Malformed: one of them is garbage.
    """

    def show_all(rows: list[Row]) -> list[Any]:
        return [show(row) for row in rows]

    return page_of_many(
        request, queryset, show_all, time_field=time_field, newest_first=newest_first
    )


def page_of_many(
    request: Request,
    queryset: QuerySet[Row],
    show_all: Callable[[list[Row]], list[Any]],
    *,
    time_field: str = "created_at",
    newest_first: bool = True,
) -> Response:
    """The same for rows that are better shown together, with one query for what all need."""
    queryset = _between(request, queryset, time_field)
    limit = _limit(request.query_params.get("limit"))
    newest_first = _newest_first(request.query_params.get("sort"), time_field, newest_first)
    sign = "-" if newest_first else ""
    rows = queryset.order_by(f"{sign}{time_field}", f"{sign}pk")
    if cursor := request.query_params.get("cursor"):
        rows = rows.filter(_beyond(Cursor.parse(cursor), queryset, time_field, newest_first))
    found = list(rows[: limit + 1])
    shown = found[:limit]
    answer: dict[str, Any] = {"items": show_all(shown), "next_cursor": None}
    if _wants_count(request):
        answer["count"] = queryset.count()
    headers = {}
    if len(found) > limit:
        last = shown[-1]
        answer["next_cursor"] = Cursor(getattr(last, time_field), str(last.pk)).text()
        address = replace_query_param(request.build_absolute_uri(), "cursor", answer["next_cursor"])
        headers["Link"] = f'<{address}>; rel="next"'
    return Response(answer, headers=headers)


def range_names(time_field: str) -> tuple[str, str]:
    """`created_at` is asked for by `created_after` and `created_before`."""
    stem = time_field.removesuffix("_at")
    return f"{stem}_after", f"{stem}_before"


def _between(request: Request, queryset: QuerySet[Row], time_field: str) -> QuerySet[Row]:
    for name, comparison in zip(range_names(time_field), ("gte", "lt"), strict=True):
        if (text := request.query_params.get(name)) is not None:
            queryset = queryset.filter(**{f"{time_field}__{comparison}": _moment(name, text)})
    return queryset


def _moment(name: str, text: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 1970 <= moment.year <= 9998:
        raise Malformed(
            f"`{name}` is a time such as 2026-01-31T12:00:00Z.", code="invalid_parameter"
        )
    return moment


def _wants_count(request: Request) -> bool:
    wanted = request.query_params.get("count")
    if wanted not in (None, "exact"):
        raise Malformed("`count` is exact, or left out.", code="invalid_parameter")
    return wanted is not None


def _beyond(cursor: Cursor, queryset: QuerySet[Any], time_field: str, newest_first: bool) -> Q:
    comparison = "lt" if newest_first else "gt"
    key: str | int = cursor.key
    if queryset.model._meta.pk.get_internal_type() == "BigAutoField":
        if not cursor.key.isdecimal() or int(cursor.key) > _LARGEST_KEY:
            raise Malformed("This cursor belongs to another list.", code="invalid_cursor")
        key = int(cursor.key)
    later = Q(**{f"{time_field}__{comparison}": cursor.at})
    same_moment = Q(**{time_field: cursor.at, f"pk__{comparison}": key})
    return later | same_moment


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MAX_LIMIT:
        raise Malformed(f"`limit` is a number from 1 to {MAX_LIMIT}.", code="invalid_limit")
    return int(text)


def _newest_first(text: str | None, time_field: str, default: bool) -> bool:
    if text is None:
        return default
    if text.removeprefix("-") != time_field:
        raise Malformed(f"`sort` is {time_field} or -{time_field}.", code="invalid_sort")
    return text.startswith("-")
