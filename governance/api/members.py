"""/members: role bindings."""

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
from governance.api.shapes import MemberShape, NewMember
from governance.domain.access import ScopeKind
from governance.models import RoleBinding
from governance.selectors import members as selectors
from governance.services import members


def show(binding: RoleBinding) -> dict[str, Any]:
    granter = binding.granted_by
    return dict(
        MemberShape(
            {
                "id": binding.public_id,
                "account": binding.user,
                "role": binding.role,
                "scope": selectors.shown_scopes([binding])[0],
                "expires_at": binding.expires_at,
                "granted_by": granter.username if granter else None,
                "created_at": binding.created_at,
            }
        ).data
    )


class Members(ApiView):
    actions: ClassVar = {"GET": "member.read", "POST": "member.grant"}

    @extend_schema(parameters=PAGE_PARAMETERS, responses={200: page_of(MemberShape)})
    def get(self, request: Request) -> Response:
        return page(request, selectors.visible(self.actor), show)

    @extend_schema(request=NewMember, responses={201: MemberShape})
    def post(self, request: Request) -> Response:
        wanted = validated(NewMember, request)
        scope = wanted.pop("scope", {"kind": ScopeKind.EVERYTHING.value})
        scope_id = scope.get("id", "")
        if scope_id and scope["kind"] != ScopeKind.EVERYTHING:
            scope_id = selectors.parse_scope(scope["kind"], scope_id)
        binding = members.grant(
            actor=self.actor, scope_kind=scope["kind"], scope_id=scope_id, **wanted
        )
        return Response(show(binding), status=201)


class OneMember(ApiView):
    actions: ClassVar = {"DELETE": "member.revoke"}
    etag_methods: ClassVar = ()

    @extend_schema(responses={204: None})
    def delete(self, request: Request, binding_id: str) -> Response:
        del request
        members.revoke(actor=self.actor, binding_id=ids.parse(binding_id, RoleBinding.PREFIX))
        return Response(status=204)
