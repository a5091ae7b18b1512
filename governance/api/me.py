"""/me"""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import clock, ids
from governance import authorize
from governance.api.base import ApiView
from governance.api.shapes import MeShape
from governance.domain.access import Actor
from governance.models import User
from governance.selectors import members


def roles_of(actor: Actor) -> list[dict[str, Any]]:
    """The roles that count now."""
    now = clock.now()
    bindings = [b for b in authorize.bindings_of(actor) if b.counts_at(now)]
    return [
        {"role": binding.role, "scope": scope, "expires_at": binding.expires_at}
        for binding, scope in zip(bindings, members.shown_scopes(bindings), strict=True)
    ]


class Me(ApiView):
    actions: ClassVar = {"GET": "me.read"}

    @extend_schema(responses={200: MeShape})
    def get(self, request: Request) -> Response:
        actor = self.actor
        user = request.user
        shown: dict[str, Any] = {
            "id": ids.public(User.PREFIX, actor.user_id),
            "username": actor.username,
            "display_name": user.shown_name if isinstance(user, User) else actor.username,
            "kind": actor.kind.value,
            "roles": roles_of(actor),
        }
        if actor.scopes is not None:
            shown["token"] = {"id": actor.token_id, "scopes": sorted(actor.scopes)}
        return Response(MeShape(shown).data)
