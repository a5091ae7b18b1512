"""/tokens"""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import ids
from core.api.pagination import page
from core.api.schema import PAGE_PARAMETERS, page_of
from core.api.serializers import validated
from governance.api.base import ApiView
from governance.api.shapes import NewToken, NewTokenShape, TokenShape
from governance.models import ApiToken
from governance.selectors import tokens as selectors
from governance.services import tokens


def show(token: ApiToken) -> dict[str, Any]:
    return dict(TokenShape(token).data)


class Tokens(ApiView):
    actions: ClassVar = {"GET": "token.read", "POST": "token.create"}

    @extend_schema(parameters=PAGE_PARAMETERS, responses={200: page_of(TokenShape)})
    def get(self, request: Request) -> Response:
        return page(request, selectors.own(self.actor), show)

    @extend_schema(request=NewToken, responses={201: NewTokenShape})
    def post(self, request: Request) -> Response:
        issued = tokens.issue(actor=self.actor, **validated(NewToken, request))
        return Response({**show(issued.token), "token": issued.text}, status=201)


class OneToken(ApiView):
    actions: ClassVar = {"DELETE": "token.revoke"}
    # Revoking is final and the same whenever it comes: nothing to compare.
    etag_methods: ClassVar = ()

    @extend_schema(responses={204: None})
    def delete(self, request: Request, token_id: str) -> Response:
        del request
        tokens.revoke(actor=self.actor, token_id=ids.parse(token_id, ApiToken.PREFIX))
        return Response(status=204)
