"""Tokens, and one's own account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from core import clock, ids
from core.errors import FieldProblem, Invalid, Refused
from frontend.views.base import actor_of, done, page, show, status_of
from governance import authorize
from governance.domain.access import Actor
from governance.domain.catalogue import DEFAULT_SCOPES, SIGNED_IN, TokenScope
from governance.domain.roles import TITLES, Role
from governance.selectors import members
from governance.selectors import tokens as own
from governance.services import tokens as services

_LONGEST_NAME = 80
_SCOPES = {
    TokenScope.MODELS_READ: "see models and versions",
    TokenScope.MODELS_WRITE: "register models and versions, move aliases",
    TokenScope.ROLLOUTS_READ: "see endpoints and rollouts",
    TokenScope.ROLLOUTS_WRITE: "start, steer and roll back rollouts",
    TokenScope.KEYS_WRITE: "issue, change and revoke the keys of endpoints",
    TokenScope.ENVIRONMENTS_WRITE: "change environments, hosts and gateways",
    TokenScope.AUDIT_READ: "read the audit log",
    TokenScope.ADMIN: "everything that you may, but approving",
}


@dataclass(frozen=True, slots=True)
class TokenRow:
    id: str
    name: str
    state: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime


@page("token.read")
def tokens(request: HttpRequest) -> HttpResponse:
    return _tokens(request)


@page("token.create", "POST")
def create_token(request: HttpRequest) -> HttpResponse:
    """Answers with the page itself and no redirect: the text is shown this once."""
    entered = request.POST
    try:
        issued = services.issue(
            actor=actor_of(request),
            name=_token_name(entered.get("name", "")),
            scopes=entered.getlist("scopes"),
            expires_in_days=_days(entered.get("expires_in_days", "")),
        )
    except Refused as problem:
        return _tokens(request, status=status_of(problem), problem=problem)
    created = {
        "name": issued.token.name,
        "text": issued.text,
        "command": f"slipway login {settings.CONFIG.web_url}",
    }
    return _tokens(request, created=created)


@page("token.revoke", "POST")
def revoke_token(request: HttpRequest, token_id: str) -> HttpResponse:
    services.revoke(actor=actor_of(request), token_id=ids.parse(token_id, "tok"))
    return done(request, "The token is revoked.", reverse("tokens"))


@page(SIGNED_IN)
def account(request: HttpRequest) -> HttpResponse:
    context = {"bindings": _bindings(actor_of(request))}
    return show(request, "frontend/pages/account.html", context)


def _tokens(request: HttpRequest, *, status: int = 200, **more: Any) -> HttpResponse:
    actor = actor_of(request)
    entered = request.POST if "problem" in more else {}
    chosen = request.POST.getlist("scopes") if entered else list(DEFAULT_SCOPES)
    rows = own.own(actor).order_by("-created_at")
    context = {
        "tokens": [_row(row) for row in rows[:100]],
        "scopes": [
            {"value": str(scope), "label": label, "chosen": scope in chosen}
            for scope, label in _SCOPES.items()
        ],
        "entered": entered,
        **more,
    }
    return show(request, "frontend/pages/tokens.html", context, status=status)


def _row(token: Any) -> TokenRow:
    expired = token.expires_at <= clock.now()
    state = "revoked" if token.revoked_at else "expired" if expired else "active"
    return TokenRow(
        id=token.public_id,
        name=token.name,
        state=state,
        scopes=list(token.scopes),
        created_at=token.created_at,
        last_used_at=token.last_used_at,
        expires_at=token.expires_at,
    )


def _token_name(text: str) -> str:
    name = text.strip()
    if 1 <= len(name) <= _LONGEST_NAME:
        return name
    sentence = f"A name has 1 to {_LONGEST_NAME} characters."
    raise Invalid(sentence, problems=[FieldProblem("/name", "invalid", sentence)])


def _days(text: str) -> int:
    """What is no number is out of range: the service says which range."""
    return int(text) if text.isdecimal() and len(text) < 6 else 0


def _bindings(actor: Actor) -> list[dict[str, Any]]:
    held = authorize.bindings_of(actor)
    return [
        {
            "role": binding.role,
            "title": TITLES[Role(binding.role)] if binding.role in set(Role) else "",
            "scope": f"{scope.kind} {scope.name or scope.id or ''}".strip(),
            "expires_at": binding.expires_at,
        }
        for binding, scope in zip(held, members.shown_scopes(held), strict=True)
    ]
