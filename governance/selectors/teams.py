"""Teams as an actor may see them."""

from __future__ import annotations

from django.db.models import QuerySet

from core.errors import NotFound
from governance import authorize
from governance.domain.access import Actor
from governance.models import Team


def visible(actor: Actor) -> QuerySet[Team]:
    return authorize.visible(actor, "team.read", Team.objects.all(), team_path="pk")


def named(actor: Actor, name: str) -> Team:
    """
    Raises:
        NotFound: there is none, or it is not visible to the actor.
    """
    team = visible(actor).filter(name=name).first()
    if team is None:
        raise NotFound(f"There is no team {name[:60]!r}.")
    return team
