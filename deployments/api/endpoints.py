"""/endpoints and /releases"""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import preconditions
from core.api.pagination import page
from core.api.schema import PAGE_PARAMETERS, page_of
from core.api.serializers import validated
from deployments.api.answers import accepted, show, whole_parameter
from deployments.api.inputs import ActionInput, RollbackInput
from deployments.api.shapes import EndpointShape, LogsShape, OperationShape, ReleaseShape
from deployments.selectors import endpoints, gate
from deployments.services import endpoints as services
from deployments.services import replica_logs, rollouts
from governance.api.base import ApiView

_FILTERS = [OpenApiParameter("environment", str), OpenApiParameter("model", str)]
_LOG_PARAMETERS = [
    OpenApiParameter("replica", str, description="Of this one only."),
    OpenApiParameter("lines", {"type": "integer", "minimum": 1, "maximum": replica_logs.MAX_LINES}),
]


class Endpoints(ApiView):
    actions: ClassVar = {"GET": "endpoint.read"}

    @extend_schema(
        parameters=[*PAGE_PARAMETERS, *_FILTERS], responses={200: page_of(EndpointShape)}
    )
    def get(self, request: Request) -> Response:
        rows = endpoints.endpoint_rows(
            self.actor,
            environment=request.query_params.get("environment"),
            model=request.query_params.get("model"),
        )
        return page(
            request,
            rows,
            lambda row: show(EndpointShape, endpoints.endpoint_card(self.actor, row)),
        )


class OneEndpoint(ApiView):
    actions: ClassVar = {"GET": "endpoint.read"}

    @extend_schema(responses={200: EndpointShape})
    def get(self, request: Request, endpoint_id: str) -> Response:
        return Response(show(EndpointShape, endpoints.endpoint(self.actor, endpoint_id)))


class Rollback(ApiView):
    """If-Match is honoured and not required: going back must work from memory."""

    actions: ClassVar = {"POST": "endpoint.rollback"}
    idempotency = "required"
    etag_methods = ("POST",)

    @extend_schema(request=RollbackInput, responses={202: OperationShape})
    def post(self, request: Request, endpoint_id: str) -> Response:
        endpoint = gate.endpoint_for(self.actor, endpoint_id)
        if request.headers.get("If-Match"):
            preconditions.require_match(request, endpoint.revision)
        wish = validated(RollbackInput, request)
        to = wish.get("to")
        rollout = rollouts.roll_back(
            actor=self.actor,
            endpoint_id=endpoint.pk,
            to=None if to is None else str(to),
            reason=wish.get("reason") or "",
        )
        return accepted(rollout)


class Open(ApiView):
    actions: ClassVar = {"POST": "endpoint.open"}

    @extend_schema(request=ActionInput, responses={200: EndpointShape})
    def post(self, request: Request, endpoint_id: str) -> Response:
        """From now on whoever reaches the gateways may ask this endpoint, without a key."""
        reason = validated(ActionInput, request).get("reason") or ""
        services.open_to_all(actor=self.actor, endpoint_id=endpoint_id, reason=reason)
        return Response(show(EndpointShape, endpoints.endpoint(self.actor, endpoint_id)))


class Close(ApiView):
    actions: ClassVar = {"POST": "endpoint.close"}

    @extend_schema(request=ActionInput, responses={200: EndpointShape})
    def post(self, request: Request, endpoint_id: str) -> Response:
        """From now on clients of this endpoint need a key, as they do wherever nobody said
        otherwise."""
        reason = validated(ActionInput, request).get("reason") or ""
        services.require_keys(actor=self.actor, endpoint_id=endpoint_id, reason=reason)
        return Response(show(EndpointShape, endpoints.endpoint(self.actor, endpoint_id)))


class Logs(ApiView):
    actions: ClassVar = {"GET": "endpoint.logs"}

    @extend_schema(parameters=_LOG_PARAMETERS, responses={200: LogsShape})
    def get(self, request: Request, endpoint_id: str) -> Response:
        rows = replica_logs.read(
            actor=self.actor,
            endpoint_id=endpoint_id,
            replica_id=request.query_params.get("replica"),
            lines=whole_parameter(
                request, "lines", default=500, low=1, high=replica_logs.MAX_LINES
            ),
        )
        return Response(show(LogsShape, {"items": rows}))


class Releases(ApiView):
    """Those of one endpoint."""

    actions: ClassVar = {"GET": "endpoint.read"}

    @extend_schema(parameters=PAGE_PARAMETERS, responses={200: page_of(ReleaseShape)})
    def get(self, request: Request, endpoint_id: str) -> Response:
        rows = endpoints.release_rows(self.actor, endpoint_id)
        return page(request, rows, lambda row: show(ReleaseShape, endpoints.release_row(row)))


class OneRelease(ApiView):
    actions: ClassVar = {"GET": "endpoint.read"}

    @extend_schema(responses={200: ReleaseShape})
    def get(self, request: Request, release_id: str) -> Response:
        return Response(show(ReleaseShape, endpoints.release(self.actor, release_id)))
