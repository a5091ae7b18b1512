"""The one permission gate. Deny by default; nothing is remembered beyond the request."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, Q, QuerySet

from core import clock
from core.errors import NotAllowed
from governance.domain import decide
from governance.domain.access import Actor, ActorKind, Binding, ScopeKind, Subject
from governance.domain.decide import Verdict
from governance.models import RoleBinding

Row = TypeVar("Row", bound=Model)

_BINDINGS = "bindings"


def require(actor: Actor, action: str, subject: Subject) -> None:
    """Return when `actor` may do `action` to `subject`.

    Raises:
        NotAllowed: they may not; the sentence names the permission and who can give it.
    """
    answer = verdict(actor, action, subject)
    if not answer:
        raise NotAllowed(answer.reason, extra={"action": action, "why": answer.why.value})


def can(actor: Actor, action: str, subject: Subject) -> bool:
    return verdict(actor, action, subject).allowed


def verdict(actor: Actor, action: str, subject: Subject) -> Verdict:
    """Whether, and if not why: `reason` is the sentence to show beside a disabled button."""
    return decide.allowed(actor, bindings_of(actor), action, subject, clock.now())


def require_anywhere(actor: Actor, action: str) -> None:
    """Refuse whoever could do `action` nowhere at all. The first of two checks: the use-case asks
    again, about the very thing.

    Raises:
        NotAllowed: there is no scope in which they may.
    """
    if not decide.reach(actor, bindings_of(actor), action, clock.now()):
        require(actor, action, Subject("anything"))


def visible(
    actor: Actor,
    action: str,
    queryset: QuerySet[Row],
    *,
    team_path: str = "",
    environment_path: str = "",
    model_path: str = "",
) -> QuerySet[Row]:
    """The rows on which `actor` may do `action`, by the same rule as `require`.

    A path names the column that holds the id of the scope, such as `model__team_id`. A path that
    is left out means that the rows lie in no scope of that kind.
    """
    where = decide.reach(actor, bindings_of(actor), action, clock.now())
    if where.everything:
        return queryset
    condition = Q(pk__in=[])
    for path, ids in (
        (team_path, where.teams),
        (environment_path, where.environments),
        (model_path, where.models),
    ):
        if path and ids:
            condition |= Q(**{f"{path}__in": ids})
    return queryset.filter(condition)


def bindings_of(actor: Actor) -> tuple[Binding, ...]:
    """The actor's bindings, read once per request; expired ones too, to say so."""
    if actor.kind is ActorKind.SYSTEM:
        return ()
    known: tuple[Binding, ...] | None = actor.memory.get(_BINDINGS)
    if known is None:
        rows = RoleBinding.objects.filter(user_id=actor.user_id, user__is_active=True)
        known = tuple(
            Binding(row.role, ScopeKind(row.scope_kind), row.scope_id, row.expires_at)
            for row in rows.only("role", "scope_kind", "scope_id", "expires_at")
        )
        actor.memory[_BINDINGS] = known
    return known
