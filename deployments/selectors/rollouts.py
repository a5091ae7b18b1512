"""Reading rollouts and the operations that started them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce

from core import clock, ids
from deployments.domain import actions, phrases, progress
from deployments.domain.actions import Verb
from deployments.domain.rollout import Spec, Status, Waiting
from deployments.domain.world import ReplicaCounts, World
from deployments.models import Build, Operation, Release, Replica, Rollout, RolloutEvent
from deployments.selectors import gate, images, subjects
from deployments.selectors.cards import (
    Acknowledgement,
    EndpointRef,
    EventRow,
    OperationRow,
    Progress,
    ReasonRow,
    ReleaseRef,
    RolloutCard,
    SplitRow,
    StatusCard,
    StepRow,
    Target,
    Timings,
)
from deployments.selectors.registry import shown
from governance import authorize
from governance.domain.access import Actor

_ACKNOWLEDGED = "routes-acknowledged"


def rollout(actor: Actor, rollout_id: str) -> RolloutCard:
    """Raises NotFound."""
    row = gate.rollout_for(actor, rollout_id)
    return rollout_card(actor, rollout_rows(actor).get(pk=row.pk))


def of_endpoint(actor: Actor, endpoint_id: str, *, limit: int = 20) -> list[RolloutCard]:
    """The newest first. Raises NotFound."""
    endpoint = gate.endpoint_for(actor, endpoint_id)
    rows = rollout_rows(actor).filter(endpoint=endpoint).order_by("-number")[:limit]
    return [rollout_card(actor, row) for row in rows]


def events(actor: Actor, rollout_id: str) -> list[EventRow]:
    """The whole story, the oldest first; it is bounded by the rollout's steps. Raises NotFound."""
    row = gate.rollout_for(actor, rollout_id)
    found = RolloutEvent.objects.filter(rollout=row).order_by("id")[:1000]
    return [
        EventRow(event.pk, event.at, event.kind, event.message, event.evidence) for event in found
    ]


def operation(actor: Actor, operation_id: str) -> OperationRow:
    """Raises NotFound."""
    return operation_row(gate.operation_for(actor, operation_id))


def newest_operation(rollout_row: Rollout) -> Operation:
    """The one that the latest change of this rollout made."""
    row = Operation.objects.filter(rollout=rollout_row).order_by("-created_at", "-pk")[0]
    row.rollout = rollout_row
    return row


def rollout_rows(actor: Actor) -> QuerySet[Rollout]:
    return detailed(gate.rollouts(actor))


def detailed(rollouts: QuerySet[Rollout]) -> QuerySet[Rollout]:
    """With all that a card shows, in a number of queries that does not depend on the rows'."""
    ready = (
        Replica.objects.filter(release=OuterRef("target_release"), state=Replica.State.READY)
        .order_by()
        .values("release")
        .annotate(number=Count("pk"))
        .values("number")
    )
    build = Build.objects.filter(image=OuterRef("target_release__image")).order_by("-pk")
    acknowledged = RolloutEvent.objects.filter(kind=_ACKNOWLEDGED).order_by("id")
    return (
        rollouts.select_related(
            "endpoint__model",
            "endpoint__environment",
            "target_release__version",
            "stable_release__version",
            "created_by",
        )
        .annotate(
            target_ready=Coalesce(Subquery(ready), 0),
            target_build=Subquery(build.values("pk")[:1]),
        )
        .prefetch_related(Prefetch("events", acknowledged, to_attr="acknowledgements"))
    )


def rollout_card(actor: Actor, row: Rollout) -> RolloutCard:
    spec, status = Spec.from_json(row.spec), Status.from_json(row.status)
    disabled = _disabled(actor, row, spec, status)
    return RolloutCard(
        id=row.public_id,
        number=row.number,
        endpoint=_endpoint_ref(row),
        kind=row.kind,
        target=_release_ref(row.target_release),
        stable=_release_ref(row.stable_release) if row.stable_release else None,
        strategy=row.strategy,
        spec=_shown_spec(spec),
        status=_status_card(row, spec, status),
        comment=row.comment,
        timings=Timings(row.created_at, row.switched_at, row.switch_acked_at, row.finished_at),
        gateways=_acknowledgements(row),
        build=_build(row),
        created_by=shown(row.created_by),
        created_at=row.created_at,
        generation=row.generation,
        revision=row.revision,
        allowed_actions=tuple(str(verb) for verb in Verb if verb not in disabled),
        disabled_actions=disabled,
    )


def operation_row(row: Operation) -> OperationRow:
    rollout_row = row.rollout
    spec, status = Spec.from_json(rollout_row.spec), Status.from_json(rollout_row.status)
    state = progress.operation_state(row.kind, spec, status)
    steps = progress.steps(spec, status)
    reason = _reason_row(status)
    over = state in (progress.OperationState.FAILED, progress.OperationState.CANCELLED)
    succeeded = state is progress.OperationState.SUCCEEDED
    return OperationRow(
        id=row.public_id,
        type=row.kind,
        status=str(state),
        progress=Progress(
            done=progress.steps_done(steps),
            total=len(steps),
            message=phrases.sentence(
                spec, status, names=_names(rollout_row), now=clock.timestamp()
            ),
        ),
        target=Target("rollout", rollout_row.public_id),
        result={"outcome": str(status.outcome), "phase": str(status.phase)} if succeeded else None,
        error=reason if over else None,
        created_at=row.created_at,
    )


def _status_card(row: Rollout, spec: Spec, status: Status) -> StatusCard:
    now = clock.timestamp()
    world = None
    if status.waiting is Waiting.REPLICAS:
        ready = getattr(row, "target_ready", 0)
        world = World(now, replicas={spec.target: ReplicaCounts(present=ready, ready=ready)})
    elif status.waiting is Waiting.IMAGE:
        world = World(now, image=images.view(spec.target))
    return StatusCard(
        phase=str(status.phase),
        outcome=str(status.outcome),
        badge=str(phrases.badge(spec, status)),
        sentence=phrases.sentence(spec, status, world, names=_names(row), now=now),
        step=status.step,
        steps=tuple(
            StepRow(step.kind, step.label, str(step.state)) for step in progress.steps(spec, status)
        ),
        waiting=str(status.waiting),
        split=SplitRow(status.split.target_percent, status.split.mirror_percent),
        since=datetime.fromtimestamp(status.since, UTC),
        reason=_reason_row(status),
    )


def _names(row: Rollout) -> dict[str, str]:
    releases = [row.target_release, *([row.stable_release] if row.stable_release else [])]
    return progress.version_names({each.pk: each.version.number for each in releases})


def _disabled(actor: Actor, row: Rollout, spec: Spec, status: Status) -> dict[str, str]:
    """Why not, per action: because this actor may not, or because it is not possible now."""
    subject = subjects.of_rollout(row)
    reasons = {
        str(verb): authorize.verdict(actor, f"rollout.{verb}", subject).reason
        or actions.refusal(verb, spec, status)
        for verb in Verb
    }
    return {verb: reason for verb, reason in reasons.items() if reason}


def _acknowledgements(row: Rollout) -> tuple[Acknowledgement, ...]:
    """Of the last switch only."""
    found: list[RolloutEvent] = getattr(row, "acknowledgements", [])
    current = [event for event in found if row.switched_at and event.at >= row.switched_at]
    if not current:
        return ()
    milliseconds = current[-1].evidence.get("milliseconds", {})
    return tuple(Acknowledgement(name, value) for name, value in sorted(milliseconds.items()))


def _build(row: Rollout) -> str | None:
    key = getattr(row, "target_build", None)
    return ids.public(Build.PREFIX, key) if key else None


def _shown_spec(spec: Spec) -> dict[str, Any]:
    plain = spec.to_json()
    return plain | {
        "target": ids.public(Release.PREFIX, spec.target),
        "stable": ids.public(Release.PREFIX, spec.stable) if spec.stable else None,
    }


def _reason_row(status: Status) -> ReasonRow | None:
    reason = status.reason
    return ReasonRow(str(reason.code), reason.message, reason.evidence) if reason else None


def _endpoint_ref(row: Rollout) -> EndpointRef:
    endpoint = row.endpoint
    return EndpointRef(endpoint.public_id, endpoint.model.name, endpoint.environment.name)


def _release_ref(release: Release) -> ReleaseRef:
    return ReleaseRef(release.public_id, release.version.number)
