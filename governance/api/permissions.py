"""Denying by default: a view whose method declares no action answers nobody."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import MethodNotAllowed, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from core.errors import Broken
from governance import authorize
from governance.domain.access import Actor
from governance.domain.catalogue import PUBLIC, is_declarable
from governance.domain.declare import declares

__all__ = ["DeclaredAction", "declared", "declares"]


def declared(view: Any, method: str) -> str | None:
    """What `view` says that it does on `method`; HEAD does what GET does."""
    actions = getattr(view, "actions", {})
    name: str | None = actions.get("GET" if method == "HEAD" else method)
    return name


class DeclaredAction(BasePermission):
    """401 when nobody is there, 403 when they could do this nowhere. The use-case asks again,
    about the very thing."""

    def has_permission(self, request: Request, view: Any) -> bool:
        method = request.method or ""
        if method not in view.allowed_methods:
            raise MethodNotAllowed(method)
        action = declared(view, method)
        if action is None or not is_declarable(action):
            raise Broken(f"{type(view).__name__} declares no action for {method}.")
        if action == PUBLIC:
            return True
        actor = request.auth
        if not isinstance(actor, Actor):
            raise NotAuthenticated()
        authorize.require_anywhere(actor, action)
        return True
