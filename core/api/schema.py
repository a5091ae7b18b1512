"""Describing pages of a list to OpenAPI."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers

from core.api.pagination import DEFAULT_LIMIT, MAX_LIMIT, range_names


def page_parameters(time_field: str) -> list[OpenApiParameter]:
    after, before = range_names(time_field)
    return [
        OpenApiParameter(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
            description="How many to answer at most.",
        ),
        OpenApiParameter("cursor", str, description="`next_cursor` of the page before."),
        OpenApiParameter(
            "sort",
            {"type": "string", "enum": [time_field, f"-{time_field}"]},
            description="The oldest first, or with `-` the newest.",
        ),
        OpenApiParameter(after, datetime, description="From this moment on."),
        OpenApiParameter(before, datetime, description="Before this moment."),
        OpenApiParameter(
            "count",
            {"type": "string", "enum": ["exact"]},
            description="Say how many there are on all pages together, which costs a query.",
        ),
    ]


PAGE_PARAMETERS = page_parameters("created_at")


@cache
def page_of(shape: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    """The shape of one page of `shape`s."""
    name = shape.__name__.removesuffix("Shape")
    return inline_serializer(
        f"{name}Page",
        {
            "items": shape(many=True),
            "next_cursor": serializers.CharField(allow_null=True),
            "count": serializers.IntegerField(required=False, help_text="with `count=exact`"),
        },
    )
