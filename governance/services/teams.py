"""Teams own models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from core.concurrency import compare_and_set
from core.errors import Conflict, Stale
from governance import audit, authorize
from governance.domain.access import Subject
from governance.domain.names import require_slug
from governance.models import Team

if TYPE_CHECKING:
    from governance.domain.access import Actor


def create(*, actor: Actor, name: str, title: str = "") -> Team:
    """
    Raises:
        NotAllowed, Invalid, Conflict: not theirs to do, no name for a team, or a taken one.
    """
    authorize.require(actor, "team.create", Subject("team"))
    require_slug(name, what="team")
    try:
        with transaction.atomic():
            team = Team.objects.create(name=name, title=title)
            subject = Subject("team", team.pk, team_id=team.pk)
            audit.record(actor, "team.create", subject, name=name, title=title)
    except IntegrityError as problem:
        raise Conflict(f"There is a team {name!r} already.", code="team:name-taken") from problem
    return team


def rename(*, actor: Actor, team: Team, title: str, revision: int) -> Team:
    """Change the title; the name is part of addresses and stays.

    Raises:
        NotAllowed, Stale: not theirs to do, or changed since `revision`.
    """
    subject = Subject("team", team.pk, team_id=team.pk)
    authorize.require(actor, "team.edit", subject)
    with transaction.atomic():
        if not compare_and_set(team, revision=revision, title=title):
            raise Stale("This team has changed since you read it.")
        audit.record(actor, "team.edit", subject, before=team.title, after=title)
    return Team.objects.get(pk=team.pk)
