"""Who holds which role."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from core import ids
from governance import authorize
from governance.domain.access import Actor, Binding, ScopeKind
from governance.models import RoleBinding, Team

_PREFIXES = {
    ScopeKind.TEAM: Team.PREFIX,
    # Rows of apps above: governance knows how their ids are shown, and nothing else.
    ScopeKind.ENVIRONMENT: "env",
    ScopeKind.MODEL: "mdl",
}


@dataclass(frozen=True, slots=True)
class ShownScope:
    """A scope as people see it; `name` is known for teams only."""

    kind: str
    id: str | None
    name: str | None


def visible(actor: Actor) -> QuerySet[RoleBinding]:
    rows = RoleBinding.objects.select_related("user", "granted_by")
    return authorize.visible(actor, "member.read", rows)


def shown_scopes(bindings: Iterable[Binding | RoleBinding]) -> list[ShownScope]:
    """The scopes of some bindings, in their order, with one query for the names of teams."""
    kept = list(bindings)
    team_ids = {b.scope_id for b in kept if b.scope_kind == ScopeKind.TEAM}
    names = dict(Team.objects.filter(pk__in=team_ids).values_list("pk", "name"))
    return [
        ShownScope(
            kind=str(b.scope_kind),
            id=ids.public(_PREFIXES[ScopeKind(b.scope_kind)], b.scope_id) if b.scope_id else None,
            name=names.get(b.scope_id),
        )
        for b in kept
    ]


def parse_scope(kind: str, public_id: str) -> str:
    """The bare id of a scope that was given as people see it.

    Raises:
        NotFound: it is not the id of a scope of that kind.
    """
    return ids.parse(public_id, _PREFIXES[ScopeKind(kind)])
