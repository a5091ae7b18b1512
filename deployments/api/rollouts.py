"""/rollouts"""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import preconditions
from core.api.pagination import page
from core.api.schema import PAGE_PARAMETERS, page_of
from core.api.serializers import validated
from core.errors import Malformed
from deployments.api.answers import accepted, show
from deployments.api.inputs import ActionInput, NewRollout
from deployments.api.shapes import EventsShape, OperationShape, RolloutShape
from deployments.domain.rollout import Phase
from deployments.selectors import gate
from deployments.selectors import rollouts as selectors
from deployments.services import rollouts
from governance.api.base import ApiView

_FILTERS = [
    OpenApiParameter("endpoint", str),
    OpenApiParameter("environment", str),
    OpenApiParameter("model", str),
    OpenApiParameter("phase", str, description="One or more, with commas between."),
]
_VERBS = {
    "pause": rollouts.pause,
    "resume": rollouts.resume,
    "promote": rollouts.promote,
    "abort": rollouts.abort,
}


class Rollouts(ApiView):
    actions: ClassVar = {"GET": "endpoint.read", "POST": "rollout.start"}
    idempotency = "required"

    @extend_schema(parameters=[*PAGE_PARAMETERS, *_FILTERS], responses={200: page_of(RolloutShape)})
    def get(self, request: Request) -> Response:
        wanted = request.query_params
        rows = selectors.rollout_rows(self.actor)
        if "endpoint" in wanted:
            rows = rows.filter(endpoint=gate.endpoint_for(self.actor, wanted["endpoint"]))
        if "environment" in wanted:
            rows = rows.filter(endpoint__environment__name=wanted["environment"])
        if "model" in wanted:
            rows = rows.filter(endpoint__model__name=wanted["model"])
        if "phase" in wanted:
            rows = rows.filter(phase__in=_phases(wanted["phase"]))
        return page(
            request, rows, lambda row: show(RolloutShape, selectors.rollout_card(self.actor, row))
        )

    @extend_schema(request=NewRollout, responses={202: OperationShape})
    def post(self, request: Request) -> Response:
        wish = validated(NewRollout, request)
        given = {name: value for name, value in wish.items() if value is not None}
        return accepted(rollouts.start(actor=self.actor, **given))


class OneRollout(ApiView):
    """Its ETag counts what people want, not how far it is: an action is refused when somebody else
    has acted meanwhile, and not because the rollout went on."""

    actions: ClassVar = {"GET": "endpoint.read"}

    @extend_schema(responses={200: RolloutShape})
    def get(self, request: Request, rollout_id: str) -> Response:
        card = selectors.rollout(self.actor, rollout_id)
        return preconditions.tagged(show(RolloutShape, card), card.generation)


class Events(ApiView):
    actions: ClassVar = {"GET": "endpoint.read"}

    @extend_schema(responses={200: EventsShape})
    def get(self, request: Request, rollout_id: str) -> Response:
        found = selectors.events(self.actor, rollout_id)
        return Response(show(EventsShape, {"items": found, "next_cursor": None}))


class _Act(ApiView):
    """One of the verbs; which one is in the subclass."""

    verb: ClassVar[str]
    idempotency = "required"
    etag_methods = ("POST",)

    @extend_schema(request=ActionInput, responses={202: OperationShape})
    def post(self, request: Request, rollout_id: str) -> Response:
        row = gate.rollout_for(self.actor, rollout_id)
        seen = preconditions.require_match(request, row.generation)
        wish = validated(ActionInput, request)
        rollout = _VERBS[self.verb](
            actor=self.actor,
            rollout_id=row.pk,
            reason=wish.get("reason") or "",
            generation=seen,
        )
        return accepted(rollout)


class Pause(_Act):
    actions: ClassVar = {"POST": "rollout.pause"}
    verb = "pause"


class Resume(_Act):
    actions: ClassVar = {"POST": "rollout.resume"}
    verb = "resume"


class Promote(_Act):
    actions: ClassVar = {"POST": "rollout.promote"}
    verb = "promote"


class Abort(_Act):
    actions: ClassVar = {"POST": "rollout.abort"}
    verb = "abort"


def _phases(text: str) -> list[str]:
    phases = text.split(",")
    unknown = [phase for phase in phases if phase not in list(Phase)]
    if unknown:
        raise Malformed(f"`phase` is one of {', '.join(Phase)}.", code="invalid_phase")
    return phases
