"""/hosts"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import preconditions
from core.api.pagination import page
from core.api.schema import PAGE_PARAMETERS, page_of
from core.api.serializers import validated
from deployments.api.answers import show
from deployments.api.inputs import HostChange, NewHost, ReplaceInput
from deployments.api.shapes import HostShape, ReplacedShape
from deployments.domain.engines import Credentials
from deployments.models import Host
from deployments.selectors import environments as selectors
from deployments.selectors import gate
from deployments.services import hosts
from governance.api.base import ApiView


def _host(host: Host) -> dict[str, object]:
    return show(HostShape, selectors.host_row(host))


class Hosts(ApiView):
    """Adding one asks its Engine, which may take a while: never within a transaction. Sent again
    after a worker has died, it finds its name taken."""

    actions: ClassVar = {"GET": "environment.read", "POST": "host.add"}
    idempotency_atomic = False

    @extend_schema(parameters=PAGE_PARAMETERS, responses={200: page_of(HostShape)})
    def get(self, request: Request) -> Response:
        return page(request, selectors.host_rows(self.actor), _host)

    @extend_schema(request=NewHost, responses={201: HostShape})
    def post(self, request: Request) -> Response:
        given = validated(NewHost, request)
        engine = _engine(given)
        host = hosts.add(actor=self.actor, engine=engine, **given)
        response = preconditions.tagged(_host(host), host.revision, status=201)
        response["Location"] = f"{request.path}/{host.public_id}"
        return response


class OneHost(ApiView):
    actions: ClassVar = {
        "GET": "environment.read",
        "PATCH": "host.edit",
        "DELETE": "host.remove",
    }

    @extend_schema(responses={200: HostShape})
    def get(self, request: Request, host_id: str) -> Response:
        row = selectors.host(self.actor, host_id)
        return preconditions.tagged(show(HostShape, row), row.revision)

    @extend_schema(request=HostChange, responses={200: HostShape})
    def patch(self, request: Request, host_id: str) -> Response:
        revision = gate.host_for(self.actor, host_id).revision
        seen = preconditions.require_match(request, revision)
        change = validated(HostChange, request)
        credentials = _credentials(change)
        hosts.edit(
            actor=self.actor, host_id=host_id, revision=seen, credentials=credentials, **change
        )
        row = selectors.host(self.actor, host_id)
        return preconditions.tagged(show(HostShape, row), row.revision)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, host_id: str) -> Response:
        revision = gate.host_for(self.actor, host_id).revision
        seen = preconditions.require_match(request, revision)
        hosts.remove(actor=self.actor, host_id=host_id, revision=seen)
        return Response(status=204)


class ReplaceReplicas(ApiView):
    actions: ClassVar = {"POST": "host.replace"}

    @extend_schema(request=ReplaceInput, responses={200: ReplacedShape})
    def post(self, request: Request, host_id: str) -> Response:
        """Give up the replicas of a silent host: each is replaced on another one."""
        reason = validated(ReplaceInput, request).get("reason", "")
        replaced = hosts.replace_replicas(actor=self.actor, host_id=host_id, reason=reason)
        return Response(show(ReplacedShape, {"replaced": replaced}))


def _engine(given: dict[str, Any]) -> hosts.Engine | None:
    """Taken out of what was sent; None where nothing was said of one."""
    address = given.pop("address", "")
    publish, credentials = given.pop("publish_address", ""), _credentials(given)
    if not (address or publish or credentials):
        return None
    return hosts.Engine(address, publish, credentials)


def _credentials(given: dict[str, Any]) -> Credentials | None:
    tls: Mapping[str, str] | None = given.pop("tls", None)
    return Credentials(**tls) if tls else None
