"""What people do to rollouts. Each use-case: permission, change, record, wake.

These write the spec and never the status. A change counts only against the generation that it was
made for, so that two people who act at once do not undo each other unseen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from core import clock, live
from core.errors import Conflict, FieldProblem, Invalid, NotFound, Stale
from deployments import wakeups
from deployments.domain import actions, plan, strategies
from deployments.domain.actions import Verb
from deployments.domain.rollout import Phase, ReasonCode, Spec, Status
from deployments.models import (
    Endpoint,
    Model,
    Operation,
    Release,
    Rollout,
    RolloutEvent,
    Version,
)
from deployments.selectors import gate, subjects
from deployments.services import images, releases
from governance import audit, authorize
from governance.domain.access import Actor

MAX_REPLICAS = 32
_PAST_TENSE = {
    Verb.PAUSE: "Paused",
    Verb.RESUME: "Resumed",
    Verb.PROMOTE: "Promoted by hand",
    Verb.ABORT: "Aborted",
}


@dataclass(frozen=True, slots=True)
class _Order:
    """A rollout that is about to be written."""

    endpoint: Endpoint
    release: Release
    replicas: int
    strategy: strategies.Parsed
    kind: Rollout.Kind
    comment: str


def start(
    *,
    actor: Actor,
    model: str,
    version: int | str,
    environment: str,
    replicas: int | None = None,
    strategy: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    comment: str = "",
) -> Rollout:
    """Begin to take the endpoint of `model` in `environment` to a version (number or alias).

    Raises:
        NotFound: the model, version, alias or environment, also when invisible to the actor.
        NotAllowed, Invalid, Conflict (`rollout:already-active`, `rollout:already-live`).
    """
    row, place = gate.model_for(actor, model), gate.environment_for(actor, environment)
    authorize.require(actor, "rollout.start", subjects.of_place(row, place))
    chosen = _version(row, version)
    bake = place.bake_seconds
    parsed = _strategy(strategy, bake)
    serving = releases.serving_config(config, chosen)
    images.prepare(chosen, place)
    with transaction.atomic():
        endpoint, _ = Endpoint.objects.get_or_create(model=row, environment=place)
        _lock(endpoint)
        wanted = _replicas(replicas, endpoint)
        image = images.wanted(chosen, place)
        release = releases.ensure(endpoint, chosen, image, serving, actor.user_id)
        _refuse_while_active(endpoint)
        if endpoint.stable_release_id == release.pk and endpoint.replicas == wanted:
            raise Conflict(
                f"Version {chosen.number} with this configuration is already live.",
                code="rollout:already-live",
            )
        order = _Order(endpoint, release, wanted, parsed, Rollout.Kind.DEPLOY, comment)
        return _write(actor, order, "rollout.start")


def roll_back(
    *, actor: Actor, endpoint_id: str, to: str | None = None, reason: str = ""
) -> Rollout:
    """Take the endpoint back to an earlier release; by default to the one before the current.

    During a bake the release before is still warm: then this aborts the rollout, which is one
    route change. Otherwise it starts a rollout to that release, without a bake. An active rollout
    to something else is aborted, and the rollback begins as soon as it has let go.
    """
    endpoint = _endpoint(actor, endpoint_id)
    authorize.require(actor, "endpoint.rollback", subjects.of_endpoint(endpoint))
    with transaction.atomic():
        _lock(endpoint)
        active = endpoint.rollouts.filter(phase__in=(*Rollout.ACTIVE, "pending")).first()
        target = _rollback_target(endpoint, active, to)
        if active and target.pk == endpoint.stable_release_id:
            return _abort_for_rollback(actor, active, reason)
        if active:
            _change(
                actor, active, Verb.ABORT, _aborted(active, reason, ReasonCode.SUPERSEDED), reason
            )
        elif target.pk == endpoint.stable_release_id:
            raise Conflict("This release is already live.", code="rollout:already-live")
        parsed = _strategy({"bake_seconds": 0}, 0.0)
        replicas = max(1, endpoint.replicas)
        order = _Order(endpoint, target, replicas, parsed, Rollout.Kind.ROLLBACK, reason)
        return _write(actor, order, "endpoint.rollback")


def pause(
    *, actor: Actor, rollout_id: str, reason: str = "", generation: int | None = None
) -> Rollout:
    """Stand still where it is. Failures are still acted upon."""
    return _act(actor, rollout_id, Verb.PAUSE, reason, generation)


def resume(
    *, actor: Actor, rollout_id: str, reason: str = "", generation: int | None = None
) -> Rollout:
    """Go on after a pause."""
    return _act(actor, rollout_id, Verb.RESUME, reason, generation)


def promote(
    *, actor: Actor, rollout_id: str, reason: str = "", generation: int | None = None
) -> Rollout:
    """Skip the wait that the rollout is in: the rest of the bake, or a pause for a person."""
    return _act(actor, rollout_id, Verb.PROMOTE, reason, generation)


def abort(
    *, actor: Actor, rollout_id: str, reason: str = "", generation: int | None = None
) -> Rollout:
    """Go back to the stable release: one route change, then the target is let go of."""
    return _act(actor, rollout_id, Verb.ABORT, reason, generation)


def _act(actor: Actor, rollout_id: str, verb: Verb, reason: str, generation: int | None) -> Rollout:
    rollout = _rollout(actor, rollout_id)
    authorize.require(actor, f"rollout.{verb}", subjects.of_rollout(rollout))
    if generation is not None and generation != rollout.generation:
        raise Stale("Somebody has changed the rollout since you looked at it.")
    spec, status = Spec.from_json(rollout.spec), Status.from_json(rollout.status)
    if sentence := actions.refusal(verb, spec, status):
        raise Conflict(
            sentence,
            code=f"rollout:cannot-{verb}",
            extra={"allowed_actions": [str(each) for each in actions.allowed(spec, status)]},
        )
    match verb:
        case Verb.PAUSE:
            new = replace(spec, paused=True)
        case Verb.RESUME:
            new = replace(spec, paused=False)
        case Verb.PROMOTE:
            new = replace(spec, promoted_through=status.step)
        case Verb.ABORT:
            new = _aborted(rollout, reason, ReasonCode.ABORTED)
    with transaction.atomic():
        return _change(actor, rollout, verb, new, reason)


def _change(actor: Actor, rollout: Rollout, verb: Verb, spec: Spec, reason: str) -> Rollout:
    """Write a new spec, if nobody else did since `rollout` was read."""
    spec = replace(spec, generation=rollout.generation + 1)
    won = Rollout.objects.filter(pk=rollout.pk, generation=rollout.generation).update(
        spec=spec.to_json(), generation=F("generation") + 1
    )
    if won != 1:
        raise Stale("Somebody has changed the rollout since you looked at it.")
    text = f"{_PAST_TENSE[verb]} by {actor.username}" + (f": {reason}" if reason else ".")
    RolloutEvent.objects.create(rollout=rollout, kind=str(verb), message=text)
    audit.record(actor, f"rollout.{verb}", subjects.of_rollout(rollout), reason=reason)
    Operation.objects.create(kind=f"rollout.{verb}", rollout=rollout)
    live.changed(f"endpoint:{rollout.endpoint.public_id}", rollout.revision)
    wakeups.wake(rollout.pk)
    rollout.refresh_from_db()
    return rollout


def _write(actor: Actor, order: _Order, action: str) -> Rollout:
    endpoint = order.endpoint
    Endpoint.objects.filter(pk=endpoint.pk).update(last_rollout_number=F("last_rollout_number") + 1)
    endpoint.refresh_from_db(fields=["last_rollout_number"])
    moment = clock.timestamp()
    config = settings.CONFIG
    spec = Spec(
        target=order.release.pk,
        stable=endpoint.stable_release_id,
        stable_replicas=endpoint.replicas,
        replicas=order.replicas,
        steps=plan.compile_steps(order.strategy.strategy),
        drain_seconds=endpoint.environment.drain_seconds,
        provision_seconds=config.provision_seconds,
        progress_seconds=config.progress_seconds,
    )
    try:
        with transaction.atomic():
            rollout = Rollout.objects.create(
                endpoint=endpoint,
                number=endpoint.last_rollout_number,
                kind=order.kind,
                target_release=order.release,
                stable_release_id=endpoint.stable_release_id,
                strategy=order.strategy.stored,
                comment=order.comment,
                created_by_id=actor.user_id or None,
                spec=spec.to_json(),
                status=Status(since=moment, started=moment).to_json(),
                phase=str(Phase.PENDING),
            )
    except IntegrityError as problem:
        raise _already_active() from problem
    text = (
        f"Started by {actor.username}."
        if order.kind == "deploy"
        else f"Rollback by {actor.username}."
    )
    RolloutEvent.objects.create(rollout=rollout, kind="created", message=text)
    Operation.objects.create(kind=action, rollout=rollout)
    audit.record(
        actor,
        action,
        subjects.of_rollout(rollout),
        release=order.release.digest,
        strategy=order.strategy.stored,
        comment=order.comment,
    )
    images.bring(order.release.image, endpoint.environment)
    live.changed(f"endpoint:{endpoint.public_id}", 0)
    live.changed("fleet", 0)
    wakeups.wake(rollout.pk)
    return rollout


def _refuse_while_active(endpoint: Endpoint) -> None:
    if endpoint.rollouts.filter(phase__in=(*Rollout.ACTIVE, "pending")).exists():
        raise _already_active()


def _already_active() -> Conflict:
    return Conflict(
        "Another rollout of this endpoint is in progress; abort it or wait for its end.",
        code="rollout:already-active",
        extra={"allowed_actions": ["abort"]},
    )


def _abort_for_rollback(actor: Actor, active: Rollout, reason: str) -> Rollout:
    if Spec.from_json(active.spec).aborted:
        raise Conflict("The rollout is already being taken back.", code="rollout:cannot-abort")
    return _change(
        actor, active, Verb.ABORT, _aborted(active, reason, ReasonCode.ROLLED_BACK), reason
    )


def _aborted(rollout: Rollout, reason: str, code: ReasonCode) -> Spec:
    return replace(Spec.from_json(rollout.spec), aborted=True, abort_code=code, abort_reason=reason)


def _rollback_target(endpoint: Endpoint, active: Rollout | None, to: str | None) -> Release:
    """The release that `to` names (release id or version number), or the one to go back to: the
    stable one during a rollout, otherwise the one that was promoted before it."""
    if to is not None:
        return _named_release(endpoint, to)
    if active and endpoint.stable_release:
        return endpoint.stable_release
    promoted = endpoint.rollouts.filter(outcome="promoted").order_by("-number")
    for rollout in promoted.select_related("target_release"):
        if rollout.target_release_id != endpoint.stable_release_id:
            return rollout.target_release
    raise Conflict("There is no earlier release to go back to.", code="rollout:nothing-before")


def _named_release(endpoint: Endpoint, to: str) -> Release:
    found = endpoint.releases.filter(rollouts__outcome="promoted").distinct()
    found = (
        found.filter(version__number=int(to))
        if to.isascii() and to.isdigit() and len(to) < 10
        else found.filter(pk=to.removeprefix(f"{Release.PREFIX}_").upper()[:26])
    )
    release = found.order_by("-created_at").first()
    if release is None:
        raise NotFound(f"This endpoint never ran a release {to[:40]!r}.", code="release:not-found")
    return release


def _strategy(given: dict[str, Any] | None, default_bake: float) -> strategies.Parsed:
    try:
        return strategies.parse(given, default_bake=default_bake)
    except strategies.BadStrategy as problem:
        wrong = FieldProblem(problem.pointer, problem.code, problem.message)
        raise Invalid(problem.message, code=problem.code, problems=[wrong]) from problem


def _replicas(given: int | None, endpoint: Endpoint) -> int:
    wanted = endpoint.replicas if given is None else given
    if not 1 <= wanted <= MAX_REPLICAS:
        sentence = f"An endpoint has 1 to {MAX_REPLICAS} replicas."
        wrong = FieldProblem("/replicas", "rollout:replicas-out-of-bounds", sentence)
        raise Invalid(sentence, code="rollout:replicas-out-of-bounds", problems=[wrong])
    return wanted


def _version(model: Model, version: int | str) -> Version:
    """By number, or by the alias that points to it."""
    text = str(version)
    rows = Version.objects.select_related("model").filter(model=model)
    by_number = text.isascii() and text.isdigit() and len(text) < 10
    row = (
        rows.filter(number=int(text)).first()
        if by_number
        else rows.filter(aliases__name=text).first()
    )
    if row is None:
        raise NotFound(
            f"The model {model.name!r} has no version or alias {text[:60]!r}.",
            code="version:not-found",
        )
    return row


def _endpoint(actor: Actor, endpoint_id: str) -> Endpoint:
    rows = gate.endpoints(actor).select_related("model", "environment", "stable_release")
    row = rows.filter(pk=endpoint_id).first()
    if row is None:
        raise NotFound("There is no such endpoint.", code="endpoint:not-found")
    return row


def _lock(endpoint: Endpoint) -> None:
    """Hold off the next promotion and see the last: what is live decides what is earlier."""
    endpoint.refresh_from_db(from_queryset=Endpoint.objects.select_for_update())


def _rollout(actor: Actor, rollout_id: str) -> Rollout:
    rows = gate.rollouts(actor).select_related("endpoint__model", "endpoint__environment")
    row = rows.filter(pk=rollout_id).first()
    if row is None:
        raise NotFound("There is no such rollout.", code="rollout:not-found")
    return row
