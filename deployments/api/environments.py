"""/environments and /gateways"""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import preconditions
from core.api.pagination import page
from core.api.schema import PAGE_PARAMETERS, page_of
from core.api.serializers import validated
from deployments.api.answers import show
from deployments.api.inputs import EnvironmentChange, NewGateway
from deployments.api.shapes import EnvironmentShape, GatewayShape, NewGatewayShape
from deployments.models import Environment, Gateway
from deployments.selectors import environments as selectors
from deployments.selectors import gate
from deployments.services import environments, gateways
from governance.api.base import ApiView


def _environment(environment: Environment) -> dict[str, object]:
    return show(EnvironmentShape, selectors.environment_row(environment))


def _gateway(gateway: Gateway) -> dict[str, object]:
    return show(GatewayShape, selectors.gateway_row(gateway))


class Environments(ApiView):
    actions: ClassVar = {"GET": "environment.read"}

    @extend_schema(parameters=PAGE_PARAMETERS, responses={200: page_of(EnvironmentShape)})
    def get(self, request: Request) -> Response:
        return page(request, selectors.environment_rows(self.actor), _environment)


class OneEnvironment(ApiView):
    actions: ClassVar = {"GET": "environment.read", "PATCH": "environment.edit"}

    @extend_schema(responses={200: EnvironmentShape})
    def get(self, request: Request, name: str) -> Response:
        row = selectors.environment(self.actor, name)
        return preconditions.tagged(show(EnvironmentShape, row), row.revision)

    @extend_schema(request=EnvironmentChange, responses={200: EnvironmentShape})
    def patch(self, request: Request, name: str) -> Response:
        revision = gate.environment_for(self.actor, name).revision
        seen = preconditions.require_match(request, revision)
        change = validated(EnvironmentChange, request)
        environments.edit(actor=self.actor, name=name, revision=seen, **change)
        row = selectors.environment(self.actor, name)
        return preconditions.tagged(show(EnvironmentShape, row), row.revision)


class Gateways(ApiView):
    actions: ClassVar = {"GET": "environment.read", "POST": "gateway.add"}

    @extend_schema(parameters=PAGE_PARAMETERS, responses={200: page_of(GatewayShape)})
    def get(self, request: Request) -> Response:
        return page(request, selectors.gateway_rows(self.actor), _gateway)

    @extend_schema(request=NewGateway, responses={201: NewGatewayShape})
    def post(self, request: Request) -> Response:
        made = gateways.register(actor=self.actor, **validated(NewGateway, request))
        answer = _gateway(made.gateway) | {"token": made.token}
        response = preconditions.tagged(answer, made.gateway.revision, status=201)
        response["Location"] = f"{request.path}/{made.gateway.public_id}"
        return response


class OneGateway(ApiView):
    actions: ClassVar = {"GET": "environment.read", "DELETE": "gateway.remove"}

    @extend_schema(responses={200: GatewayShape})
    def get(self, request: Request, gateway_id: str) -> Response:
        row = selectors.gateway(self.actor, gateway_id)
        return preconditions.tagged(show(GatewayShape, row), row.revision)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, gateway_id: str) -> Response:
        revision = gate.gateway_for(self.actor, gateway_id).revision
        seen = preconditions.require_match(request, revision)
        gateways.remove(actor=self.actor, gateway_id=gateway_id, revision=seen)
        return Response(status=204)
