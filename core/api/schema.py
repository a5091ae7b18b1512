"""Describing pages of a list to OpenAPI."""

from __future__ import annotations

from functools import cache
from typing import Any

from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers

from core.api.pagination import DEFAULT_LIMIT, MAX_LIMIT

PAGE_PARAMETERS = [
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        description="How many to answer at most.",
    ),
    OpenApiParameter("cursor", str, description="`next_cursor` of the page before."),
]


@cache
def page_of(shape: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    """The shape of one page of `shape`s."""
    name = shape.__name__.removesuffix("Shape")
    return inline_serializer(
        f"{name}Page",
        {
            "items": shape(many=True),
            "next_cursor": serializers.CharField(allow_null=True),
        },
    )
