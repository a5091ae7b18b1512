"""/keys"""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import preconditions
from core.api.pagination import page_of_many
from core.api.schema import PAGE_PARAMETERS, page_of
from core.api.serializers import validated
from core.errors import Malformed
from deployments.api.answers import show
from deployments.api.inputs import KeyChange, KeyRotation, NewKey
from deployments.api.shapes import KeyShape, NewKeyShape
from deployments.domain.keys import KeyState
from deployments.models import EndpointKey
from deployments.selectors import gate
from deployments.selectors import keys as selectors
from deployments.services import keys
from governance.api.base import ApiView

_FILTERS = [
    OpenApiParameter("environment", str),
    OpenApiParameter("endpoint", str, description="An endpoint's id."),
    OpenApiParameter("state", str, description=f"One or more of {', '.join(KeyState)}."),
]


class Keys(ApiView):
    """Keys of clients, of all endpoints that the caller sees."""

    actions: ClassVar = {"GET": "key.read", "POST": "key.issue"}

    @extend_schema(parameters=[*PAGE_PARAMETERS, *_FILTERS], responses={200: page_of(KeyShape)})
    def get(self, request: Request) -> Response:
        asked = request.query_params
        rows = selectors.key_rows(
            self.actor,
            environment=asked.get("environment"),
            endpoint=asked.get("endpoint"),
            states=_states(asked["state"]) if "state" in asked else None,
        )
        return page_of_many(request, rows, _shown)

    @extend_schema(request=NewKey, responses={201: NewKeyShape})
    def post(self, request: Request) -> Response:
        """The answer holds the key, which is never shown again."""
        issued = keys.issue(actor=self.actor, **validated(NewKey, request))
        return _issued(self, issued)


class OneKey(ApiView):
    actions: ClassVar = {"GET": "key.read", "PATCH": "key.edit"}

    @extend_schema(responses={200: KeyShape})
    def get(self, request: Request, key_id: str) -> Response:
        row = selectors.row(self.actor, key_id)
        return preconditions.tagged(show(KeyShape, row), row.revision)

    @extend_schema(request=KeyChange, responses={200: KeyShape})
    def patch(self, request: Request, key_id: str) -> Response:
        """`endpoints` are all that the key shall reach. A limit of null is none."""
        seen = preconditions.require_match(request, gate.key_for(self.actor, key_id).revision)
        change = validated(KeyChange, request)
        keys.edit(actor=self.actor, key_id=key_id, revision=seen, **change)
        return _one(self, key_id)


class Rotate(ApiView):
    """A new key like this one, which goes on for a while."""

    actions: ClassVar = {"POST": "key.rotate"}
    idempotency = "required"
    etag_methods = ("POST",)

    @extend_schema(request=KeyRotation, responses={201: NewKeyShape})
    def post(self, request: Request, key_id: str) -> Response:
        """The answer is the new key. `overlap_hours` is how long the old one still counts."""
        seen = preconditions.require_match(request, gate.key_for(self.actor, key_id).revision)
        wish = validated(KeyRotation, request)
        return _issued(self, keys.rotate(actor=self.actor, key_id=key_id, revision=seen, **wish))


class Revoke(ApiView):
    """If-Match is honoured and not required: shutting out must work from memory."""

    actions: ClassVar = {"POST": "key.revoke"}
    etag_methods = ("POST",)

    @extend_schema(request=None, responses={200: KeyShape})
    def post(self, request: Request, key_id: str) -> Response:
        """At once, and for good. `acknowledged` says when every gateway refuses it."""
        row = gate.key_for(self.actor, key_id)
        if request.headers.get("If-Match"):
            preconditions.require_match(request, row.revision)
        keys.revoke(actor=self.actor, key_id=key_id)
        return _one(self, key_id)


def _shown(found: list[EndpointKey]) -> list[dict[str, object]]:
    return [show(KeyShape, row) for row in selectors.rows(found)]


def _one(view: ApiView, key_id: str) -> Response:
    row = selectors.row(view.actor, key_id)
    return preconditions.tagged(show(KeyShape, row), row.revision)


def _issued(view: ApiView, issued: keys.Issued) -> Response:
    row = selectors.row(view.actor, issued.key.public_id)
    answer = show(KeyShape, row) | {"key": issued.text}
    response = preconditions.tagged(answer, row.revision, status=201)
    response["Location"] = f"/api/v1/keys/{row.id}"
    return response


def _states(text: str) -> list[KeyState]:
    asked = text.split(",")
    if any(each not in list(KeyState) for each in asked):
        raise Malformed(f"`state` is one of {', '.join(KeyState)}.", code="invalid_state")
    return [KeyState(each) for each in asked]
