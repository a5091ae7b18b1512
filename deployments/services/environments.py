"""Editing environments: how long a release bakes, and how long the old one drains."""

from __future__ import annotations

import math

from django.db import transaction

from core import live
from deployments.domain.strategies import MAX_BAKE_SECONDS
from deployments.models import Environment
from deployments.selectors import gate, subjects
from deployments.services import changes
from governance import audit, authorize
from governance.domain.access import Actor

MAX_DRAIN_SECONDS = 3600.0


def edit(
    *,
    actor: Actor,
    name: str,
    revision: int,
    bake_seconds: float | None = None,
    drain_seconds: float | None = None,
) -> Environment:
    """Change what is given. Rollouts that run keep what they started with.

    Raises:
        NotFound, NotAllowed, Stale.
        Invalid: `out_of_bounds`.
    """
    environment = gate.environment_for(actor, name)
    authorize.require(actor, "environment.edit", subjects.of_environment(environment))
    fields: dict[str, float] = {}
    if bake_seconds is not None:
        fields["bake_seconds"] = _within("bake_seconds", bake_seconds, MAX_BAKE_SECONDS)
    if drain_seconds is not None:
        fields["drain_seconds"] = _within("drain_seconds", drain_seconds, MAX_DRAIN_SECONDS)
    before = {key: getattr(environment, key) for key in fields}
    with transaction.atomic():
        changes.write(environment, revision, **fields)
        audit.record(
            actor,
            "environment.edit",
            subjects.of_environment(environment),
            before=before,
            after=fields,
        )
        live.changed("fleet", environment.revision)
    return environment


def _within(field: str, seconds: float, most: float) -> float:
    if not math.isfinite(seconds) or not 0 <= seconds <= most:
        raise changes.wrong(field, "out_of_bounds", f"This is 0 to {most:g} seconds.")
    return float(seconds)
