"""Moving aliases. Every move is kept: from where, to where, by whom, why."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import F

from core import live
from core.errors import Precondition, Stale
from deployments.domain import naming
from deployments.models import Alias, AliasMove, Model, Version
from deployments.selectors import gate, subjects
from deployments.services import changes
from governance import audit, authorize
from governance.domain.access import Actor

LONGEST_REASON = 2_000


def move(
    *,
    actor: Actor,
    model: str,
    alias: str,
    version: int,
    revision: int | None = None,
    reason: str = "",
) -> Alias:
    """Point `alias` at a version. One that does not exist yet is made, with `revision` None; one
    that exists must still be at `revision`.

    Raises:
        NotFound, NotAllowed.
        Invalid: `invalid_name`, `unknown_version`, `reason_too_long`.
        Precondition: it exists, and the caller did not say which revision they saw.
        Stale: it has moved since, or was removed or made meanwhile.
    """
    row = gate.model_for(actor, model)
    authorize.require(actor, "alias.move", subjects.of_model(row))
    changes.require_name(naming.problem_with_alias(alias), "alias")
    _require_reason(reason)
    target = Version.objects.filter(model=row, number=version).first()
    if target is None:
        sentence = f"The model {model!r} has no version {version}."
        raise changes.wrong("version", "unknown_version", sentence)
    present = Alias.objects.filter(model=row, name=alias).select_related("version").first()
    with transaction.atomic():
        if present is None:
            moved, before = _make(row, alias, target, revision), None
        else:
            moved, before = present, present.version
            _shift(moved, target, revision)
        _record(actor, moved, before, target, reason)
    moved.version = target
    return moved


def remove(*, actor: Actor, model: str, alias: str, revision: int, reason: str = "") -> None:
    """Remove the alias if it still is at `revision`. Its moves stay, and say so.

    Raises:
        NotFound, NotAllowed, Stale, Invalid.
    """
    row = gate.model_for(actor, model)
    authorize.require(actor, "alias.move", subjects.of_model(row))
    _require_reason(reason)
    present = gate.alias_for(row, alias)
    with transaction.atomic():
        deleted, _ = Alias.objects.filter(pk=present.pk, revision=revision).delete()
        if not deleted:
            raise _changed()
        _record(actor, present, present.version, None, reason)


def _make(model: Model, name: str, target: Version, revision: int | None) -> Alias:
    if revision is not None:
        raise _changed()
    try:
        with transaction.atomic():
            return Alias.objects.create(model=model, name=name, version=target)
    except IntegrityError:
        raise _changed() from None


def _shift(alias: Alias, target: Version, revision: int | None) -> None:
    if revision is None:
        raise Precondition("The alias exists: send If-Match with the ETag that you last read.")
    changes.write(alias, revision, version=target)


def _record(
    actor: Actor, alias: Alias, before: Version | None, after: Version | None, reason: str
) -> None:
    AliasMove.objects.create(
        model_id=alias.model_id,
        name=alias.name,
        from_version=before,
        to_version=after,
        moved_by_id=actor.user_id or None,
        reason=reason,
    )
    model = Model.objects.get(pk=alias.model_id)
    Model.objects.filter(pk=model.pk).update(revision=F("revision") + 1)
    audit.record(
        actor,
        "alias.move",
        subjects.of_model(model),
        alias=alias.name,
        before=before.number if before else None,
        after=after.number if after else None,
        reason=reason,
    )
    live.changed(f"model:{model.public_id}", model.revision + 1)


def _require_reason(reason: str) -> None:
    if len(reason) > LONGEST_REASON:
        sentence = f"A reason has at most {LONGEST_REASON} characters."
        raise changes.wrong("reason", "reason_too_long", sentence)


def _changed() -> Stale:
    return Stale("The alias has changed since you read it; read it again.")
