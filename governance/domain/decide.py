"""May this actor do this to that? The one place that answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.errors import Broken
from governance.domain.access import Actor, ActorKind, Binding, ScopeKind, Subject
from governance.domain.catalogue import CATALOGUE, SIGNED_IN, Action, TokenScope


class Why(StrEnum):
    ALLOWED = "allowed"
    TOKEN_NEVER = "token-never"  # noqa: S105 - a reason, not a secret
    TOKEN_SCOPE = "token-scope"  # noqa: S105 - a reason, not a secret
    SYSTEM_ONLY = "system-only"
    NOT_FOR_SYSTEM = "not-for-system"
    NO_ROLE = "no-role"
    OTHER_SCOPE = "other-scope"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Verdict:
    allowed: bool
    why: Why
    reason: str

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True, slots=True)
class Reach:
    """Where an actor may do something: everywhere, or in these teams, environments and models."""

    everything: bool = False
    teams: frozenset[str] = frozenset()
    environments: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.everything or bool(self.teams or self.environments or self.models)


_YES = Verdict(True, Why.ALLOWED, "")


def named(action: str) -> Action:
    """The action of that name.

    Raises:
        Broken: nobody put it into the catalogue, so nobody may do it.
    """
    try:
        return CATALOGUE[action]
    except KeyError:
        raise Broken(f"The action {action!r} is not in the catalogue.") from None


def allowed(
    actor: Actor, bindings: Iterable[Binding], action: str, subject: Subject, now: datetime
) -> Verdict:
    """Deny by default: some binding that counts now, whose role holds the action and whose scope
    covers the subject, and, for a token, a scope of it that reaches the action."""
    known = named(action)
    refusal = _refused_before_roles(actor, known)
    if refusal is not None:
        return refusal
    if actor.kind is ActorKind.SYSTEM or known.name == SIGNED_IN:
        return _YES
    holding = [binding for binding in bindings if binding.role in known.roles]
    current = [binding for binding in holding if binding.counts_at(now)]
    if any(known.anywhere or binding.covers(subject) for binding in current):
        return _YES
    return _refused_by_roles(known, any_current=bool(current), any_at_all=bool(holding))


def reach(actor: Actor, bindings: Iterable[Binding], action: str, now: datetime) -> Reach:
    """Where `allowed` would say yes: the same rule, as a filter for many rows."""
    known = named(action)
    if _refused_before_roles(actor, known) is not None:
        return Reach()
    if actor.kind is ActorKind.SYSTEM or known.name == SIGNED_IN:
        return Reach(everything=True)
    current = [b for b in bindings if b.role in known.roles and b.counts_at(now)]
    if any(known.anywhere or b.scope_kind is ScopeKind.EVERYTHING for b in current):
        return Reach(everything=True)

    def of(kind: ScopeKind) -> frozenset[str]:
        return frozenset(b.scope_id for b in current if b.scope_kind is kind and b.scope_id)

    return Reach(
        teams=of(ScopeKind.TEAM),
        environments=of(ScopeKind.ENVIRONMENT),
        models=of(ScopeKind.MODEL),
    )


def _refused_before_roles(actor: Actor, action: Action) -> Verdict | None:
    if actor.kind is ActorKind.SYSTEM:
        if action.by_system:
            return None
        return _no(Why.NOT_FOR_SYSTEM, f"Slipway itself never does {action.name}.")
    if not action.roles:
        return _no(Why.SYSTEM_ONLY, f"Only Slipway itself does {action.name}.")
    if not action.by_token and (actor.uses_token or actor.kind is ActorKind.SERVICE):
        return _no(Why.TOKEN_NEVER, f"{action.title} is for people in a browser, never for tokens.")
    if actor.scopes is not None and not _token_reaches(actor.scopes, action):
        words = ", ".join(sorted({*action.scopes, TokenScope.ADMIN}))
        return _no(
            Why.TOKEN_SCOPE,
            f"This token's scopes do not reach {action.name}; it needs one of: {words}.",
        )
    return None


def _token_reaches(scopes: frozenset[str], action: Action) -> bool:
    if action.name == SIGNED_IN:
        return True
    return TokenScope.ADMIN in scopes or bool(scopes & action.scopes)


def _refused_by_roles(action: Action, *, any_current: bool, any_at_all: bool) -> Verdict:
    roles = ", ".join(sorted(action.roles))
    ask = f"{action.title} needs {action.name}, which these roles hold: {roles}."
    who = "An organisation admin can grant one."
    if any_current:
        return _no(Why.OTHER_SCOPE, f"{ask} You hold one in another scope, not here. {who}")
    if any_at_all:
        return _no(Why.EXPIRED, f"{ask} You held one; it has expired. {who}")
    return _no(Why.NO_ROLE, f"{ask} You hold none of them. {who}")


def _no(why: Why, reason: str) -> Verdict:
    return Verdict(False, why, reason)
