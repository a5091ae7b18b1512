"""Creating and editing models. Their names are parts of addresses and never change."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from core import live
from core.errors import Conflict
from deployments.domain import naming
from deployments.models import Model
from deployments.selectors import gate, subjects
from deployments.services import changes
from governance import audit, authorize
from governance.domain.access import Actor, Subject
from governance.models import Team

LONGEST_DESCRIPTION = 10_000
_TEAM_HELP = "`slipway teams list` shows them; an admin makes one with `slipway teams create NAME`."


def create(
    *,
    actor: Actor,
    name: str,
    team: str,
    task: str = Model.Task.OTHER,
    risk_tier: str = Model.RiskTier.MEDIUM,
    description: str = "",
) -> Model:
    """A model without versions, owned by the team of that name.

    Raises:
        Invalid: `invalid_name`, `unknown_team`, `description_too_long`, `unknown_choice`.
        NotAllowed: the actor may not create models for this team.
        Conflict: `model:name-taken`; a name is unique among all teams.
    """
    changes.require_name(naming.problem_with(name))
    owner = Team.objects.filter(name=team).first()
    if owner is None:
        sentence = f"There is no team {team[:60]!r}."
        raise changes.wrong("team", "unknown_team", sentence, help_text=_TEAM_HELP)
    authorize.require(actor, "model.create", Subject("model", team_id=owner.pk))
    fields = _checked(task=task, risk_tier=risk_tier, description=description)
    with transaction.atomic():
        try:
            with transaction.atomic():
                model = Model.objects.create(name=name, team=owner, **fields)
        except IntegrityError:
            raise Conflict(f"There already is a model {name!r}.", code="model:name-taken") from None
        audit.record(actor, "model.create", subjects.of_model(model), name=name, team=team)
        live.changed("models", model.revision)
    return model


def edit(
    *,
    actor: Actor,
    name: str,
    revision: int,
    task: str | None = None,
    risk_tier: str | None = None,
    description: str | None = None,
) -> Model:
    """Change what is given, if the model still is at `revision`.

    Raises:
        NotFound, NotAllowed, Stale, Invalid (as `create`).
    """
    model = gate.model_for(actor, name)
    authorize.require(actor, "model.edit", subjects.of_model(model))
    given = {"task": task, "risk_tier": risk_tier, "description": description}
    fields = _checked(**{key: value for key, value in given.items() if value is not None})
    before = {key: getattr(model, key) for key in fields}
    with transaction.atomic():
        changes.write(model, revision, **fields)
        audit.record(actor, "model.edit", subjects.of_model(model), before=before, after=fields)
        live.changed("models", model.revision)
    return model


def _checked(**fields: str) -> dict[str, str]:
    if len(fields.get("description", "")) > LONGEST_DESCRIPTION:
        sentence = f"A description has at most {LONGEST_DESCRIPTION} characters."
        raise changes.wrong("description", "description_too_long", sentence)
    for name, choices in (("task", Model.Task), ("risk_tier", Model.RiskTier)):
        if name in fields and fields[name] not in choices.values:
            sentence = f"One of {', '.join(choices.values)}."
            raise changes.wrong(name, "unknown_choice", sentence)
    return fields
