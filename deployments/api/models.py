"""/models and /models/{name}/aliases"""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import preconditions
from core.api.pagination import page
from core.api.schema import PAGE_PARAMETERS, page_of
from core.api.serializers import validated
from deployments.api.answers import found, show
from deployments.api.inputs import AliasMoveInput, ModelChange, NewModel
from deployments.api.shapes import AliasMoveShape, AliasShape, ModelShape
from deployments.models import Alias, AliasMove, Model
from deployments.selectors import gate, registry
from deployments.services import aliases, models
from governance.api.base import ApiView


def _model(model: Model) -> dict[str, Any]:
    return show(ModelShape, registry.model_row(model))


def _move(move: AliasMove) -> dict[str, Any]:
    return show(AliasMoveShape, registry.move_row(move))


class Models(ApiView):
    actions: ClassVar = {"GET": "model.read", "POST": "model.create"}

    @extend_schema(parameters=PAGE_PARAMETERS, responses={200: page_of(ModelShape)})
    def get(self, request: Request) -> Response:
        return page(request, registry.model_rows(self.actor), _model)

    @extend_schema(request=NewModel, responses={201: ModelShape})
    def post(self, request: Request) -> Response:
        model = models.create(actor=self.actor, **validated(NewModel, request))
        row = registry.model_row(model)
        response = preconditions.tagged(show(ModelShape, row), row.revision, status=201)
        response["Location"] = f"{request.path}/{model.name}"
        return response


class OneModel(ApiView):
    actions: ClassVar = {"GET": "model.read", "PATCH": "model.edit"}

    @extend_schema(responses={200: ModelShape})
    def get(self, request: Request, name: str) -> Response:
        row = registry.model(self.actor, name)
        return preconditions.tagged(show(ModelShape, row), row.revision)

    @extend_schema(request=ModelChange, responses={200: ModelShape})
    def patch(self, request: Request, name: str) -> Response:
        seen = preconditions.require_match(request, gate.model_for(self.actor, name).revision)
        change = validated(ModelChange, request)
        models.edit(actor=self.actor, name=name, revision=seen, **change)
        row = registry.model(self.actor, name)
        return preconditions.tagged(show(ModelShape, row), row.revision)


class Aliases(ApiView):
    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(parameters=PAGE_PARAMETERS, responses={200: page_of(AliasShape)})
    def get(self, request: Request, name: str) -> Response:
        rows = registry.alias_rows(self.actor, name)
        return page(request, rows, lambda row: show(AliasShape, registry.alias_row(row)))


class OneAlias(ApiView):
    actions: ClassVar = {"GET": "model.read", "PUT": "alias.move", "DELETE": "alias.move"}

    @extend_schema(responses={200: AliasShape})
    def get(self, request: Request, name: str, alias: str) -> Response:
        row = registry.alias(self.actor, name, alias)
        return preconditions.tagged(show(AliasShape, row), row.revision)

    @extend_schema(
        request=AliasMoveInput,
        responses={200: AliasShape, 201: AliasShape},
        description="Makes or moves an alias. If-Match is needed once it exists.",
    )
    def put(self, request: Request, name: str, alias: str) -> Response:
        present = self._present(name, alias)
        seen = self._seen(request, present)
        change = validated(AliasMoveInput, request)
        moved = aliases.move(
            actor=self.actor,
            model=name,
            alias=alias,
            version=change["version"],
            revision=seen,
            reason=change.get("reason") or "",
        )
        moved.model = gate.model_for(self.actor, name)
        status = 200 if present else 201
        answer = show(AliasShape, registry.alias_row(moved))
        return preconditions.tagged(answer, moved.revision, status=status)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, name: str, alias: str) -> Response:
        present = gate.alias_for(gate.model_for(self.actor, name), alias)
        seen = preconditions.require_match(request, present.revision)
        aliases.remove(actor=self.actor, model=name, alias=alias, revision=seen)
        return Response(status=204)

    def _present(self, name: str, alias: str) -> Alias | None:
        model = gate.model_for(self.actor, name)
        return found(lambda: gate.alias_for(model, alias))

    @staticmethod
    def _seen(request: Request, present: Alias | None) -> int | None:
        if present is not None:
            return preconditions.require_match(request, present.revision)
        header = request.headers.get("If-Match", "").strip()
        if header and header != "*":
            raise preconditions.stale(0)
        return None


class AliasMoves(ApiView):
    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(parameters=PAGE_PARAMETERS, responses={200: page_of(AliasMoveShape)})
    def get(self, request: Request, name: str, alias: str) -> Response:
        return page(request, registry.move_rows(self.actor, name, alias), _move)
