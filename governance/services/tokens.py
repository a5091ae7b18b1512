"""API tokens: shown once, kept as a hash, narrowed to scopes, and expiring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction

from core import clock
from core.errors import FieldProblem, Invalid, NotAllowed, NotFound
from governance import audit, authorize
from governance.domain import tokens as token_text
from governance.domain.access import ActorKind, Subject
from governance.domain.catalogue import DEFAULT_SCOPES, TokenScope
from governance.models import ApiToken, User

if TYPE_CHECKING:
    from governance.domain.access import Actor

DEFAULT_DAYS = 90
MAX_DAYS = 365


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token; `text` exists nowhere else and is never shown again."""

    token: ApiToken
    text: str


def issue(
    *,
    actor: Actor,
    name: str,
    scopes: Sequence[str] | None = None,
    expires_in_days: int = DEFAULT_DAYS,
    owner_id: str | None = None,
) -> Issued:
    """A token of the actor, or of `owner_id` when Slipway itself or an administrator makes one
    for a service account. Without `scopes` it may only read.

    Raises:
        NotAllowed, Invalid: not theirs to do, an unknown scope, or too long a life.
    """
    authorize.require(actor, "token.create", Subject("token"))
    owner = _owner(actor, owner_id)
    wanted = _scopes(scopes)
    expires_at = _expiry(actor, expires_in_days)
    made = token_text.generate()
    with transaction.atomic():
        token = ApiToken.objects.create(
            user=owner,
            name=name,
            lookup=made.lookup,
            digest=made.digest,
            scopes=wanted,
            expires_at=expires_at,
        )
        audit.record(
            actor,
            "token.create",
            Subject("token", token.pk),
            name=name,
            scopes=wanted,
            owner=owner.pk,
            expires_at=expires_at,
        )
    return Issued(token, made.text)


def revoke(*, actor: Actor, token_id: str) -> None:
    """From the next request on it is refused. Revoking twice is revoking once.

    Raises:
        NotFound: no such token, or another account's and the actor is no administrator.
    """
    token = ApiToken.objects.filter(pk=token_id).first()
    if token is None:
        raise NotFound("There is no such token.")
    subject = Subject("token", token.pk)
    action = "token.revoke" if token.user_id == actor.user_id else "token.revoke_any"
    if action == "token.revoke_any" and not authorize.can(actor, action, subject):
        raise NotFound("There is no such token.")
    authorize.require(actor, action, subject)
    with transaction.atomic():
        unrevoked = ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True)
        if unrevoked.update(revoked_at=clock.now()):
            audit.record(actor, action, subject, name=token.name)


def revoke_named(*, actor: Actor, owner_id: str, name: str) -> None:
    """Revoke every live token of an account that has this name."""
    live = ApiToken.objects.filter(user_id=owner_id, name=name, revoked_at__isnull=True)
    for token_id in live.values_list("pk", flat=True):
        revoke(actor=actor, token_id=token_id)


def _owner(actor: Actor, owner_id: str | None) -> User:
    if owner_id is None or owner_id == actor.user_id:
        return User.objects.get(pk=actor.user_id)
    owner = User.objects.filter(pk=owner_id, is_active=True).first()
    if owner is None:
        raise NotFound("There is no such account.")
    # A token is its owner's voice: nobody makes one that speaks as another person.
    if actor.kind is not ActorKind.SYSTEM:
        authorize.require(actor, "account.create", Subject("account", owner.pk))
        if owner.kind != User.Kind.SERVICE:
            raise NotAllowed("Tokens of people are made by themselves.", code="token:not-yours")
    return owner


def _scopes(scopes: Sequence[str] | None) -> list[str]:
    if scopes is None:
        return [scope.value for scope in DEFAULT_SCOPES]
    known = [scope.value for scope in TokenScope]
    problems = [
        FieldProblem(f"/scopes/{index}", "unknown_scope", f"There is no scope {scope[:40]!r}.")
        for index, scope in enumerate(scopes)
        if scope not in known
    ]
    if problems or not scopes:
        raise Invalid(
            f"Scopes are one or more of: {', '.join(known)}.",
            code="token:unknown-scope",
            problems=problems,
        )
    return sorted(set(scopes))


def _expiry(actor: Actor, days: int) -> datetime:
    if not 1 <= days <= MAX_DAYS:
        problem = FieldProblem("/expires_in_days", "out_of_range", f"From 1 to {MAX_DAYS} days.")
        raise Invalid(
            f"A token lives from 1 to {MAX_DAYS} days.", code="token:lifetime", problems=[problem]
        )
    wanted = clock.now() + timedelta(days=days)
    if actor.token_id is None:
        return wanted
    # A token that makes another must not outlive itself that way.
    own = ApiToken.objects.get(pk=actor.token_id.removeprefix(f"{ApiToken.PREFIX}_"))
    return min(wanted, own.expires_at)
