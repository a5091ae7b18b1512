"""GET /endpoints/{id}/traffic."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import Malformed
from governance.api.base import ApiView
from monitoring.domain.series import Traffic
from monitoring.selectors.traffic import (
    DEFAULT_SECONDS,
    LONGEST_SECONDS,
    SHORTEST_SECONDS,
    traffic,
)


@cache
def _totals() -> type[serializers.Serializer[Any]]:
    """One shape, although it stands in two places."""
    counts = {name: serializers.IntegerField() for name in ("requests", "errors", "client_errors")}
    rate = {"requests_per_second": serializers.FloatField()}
    quantiles = {name: serializers.FloatField(allow_null=True) for name in _QUANTILES}
    return type(inline_serializer("TrafficTotals", {**counts, **rate, **quantiles}))


def _series() -> serializers.Serializer[Any]:
    def column(field: serializers.Field[Any, Any, Any, Any]) -> serializers.ListField:
        return serializers.ListField(child=field)

    wholes = {name: column(serializers.IntegerField()) for name in ("t", "seconds")}
    rates = ("requests_per_second", "errors_per_second")
    return inline_serializer(
        "TrafficSeries",
        {
            "release": serializers.CharField(),
            "version": serializers.IntegerField(),
            **wholes,
            **{name: column(serializers.FloatField()) for name in rates},
            **{name: column(serializers.FloatField(allow_null=True)) for name in _QUANTILES},
            "totals": _totals()(),
        },
        many=True,
    )


def _markers() -> serializers.Serializer[Any]:
    rollout: dict[str, serializers.Field[Any, Any, Any, Any]] = {
        "id": serializers.CharField(),
        "number": serializers.IntegerField(),
    }
    return inline_serializer(
        "TrafficMarker",
        {
            "at": serializers.DateTimeField(),
            "kind": serializers.CharField(),
            "label": serializers.CharField(),
            "rollout": inline_serializer("MarkedRollout", rollout),
        },
        many=True,
    )


# Made from names, because some of these are words of Python or of the serializers themselves.
_QUANTILES = ("p50_ms", "p95_ms", "p99_ms")
_SHAPE = inline_serializer(
    "TrafficReport",
    {
        "endpoint": serializers.CharField(),
        "from": serializers.DateTimeField(),
        "to": serializers.DateTimeField(),
        "step": serializers.IntegerField(),
        "summary": serializers.CharField(),
        "totals": _totals()(),
        "series": _series(),
        "markers": _markers(),
    },
)
_SECONDS = OpenApiParameter(
    "seconds",
    {
        "type": "integer",
        "minimum": SHORTEST_SECONDS,
        "maximum": LONGEST_SECONDS,
        "default": DEFAULT_SECONDS,
    },
    description="How far to look back.",
)


class EndpointTraffic(ApiView):
    """Requests, errors and latency of one endpoint, per release."""

    actions: ClassVar = {"GET": "endpoint.read"}

    @extend_schema(parameters=[_SECONDS], responses=_SHAPE)
    def get(self, request: Request, endpoint_id: str) -> Response:
        seconds = request.query_params.get("seconds", str(DEFAULT_SECONDS))
        if not seconds.isascii() or not seconds.isdigit() or len(seconds) > 9:
            raise Malformed("`seconds` must be a whole number.", code="invalid_parameter")
        return Response(represent(traffic(self.actor, endpoint_id, int(seconds))))


def represent(found: Traffic) -> dict[str, Any]:
    """Points as one list per field; `t` is seconds since the epoch, quantiles are milliseconds."""
    return {
        "endpoint": found.endpoint,
        "from": _moment(found.begin),
        "to": _moment(found.end),
        "step": found.step,
        "summary": found.summary,
        "totals": asdict(found.totals),
        "series": [each.columns() | {"totals": asdict(each.totals)} for each in found.series],
        "markers": [
            {
                "at": _moment(marker.t),
                "kind": marker.kind,
                "label": marker.label,
                "rollout": {"id": marker.rollout, "number": marker.number},
            }
            for marker in found.markers
        ],
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
