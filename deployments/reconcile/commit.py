"""Writing a decision, and everything that follows from it, as one transaction.

The write counts only if neither the status nor the spec has moved since the loop looked, and, for
a rollout that leaves PENDING, if the endpoint still is where the rollout would start from.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Case, F, Value, When

from core import clock, live
from deployments import publish
from deployments.domain import traffic
from deployments.domain.decision import Decision
from deployments.domain.rollout import Outcome, Phase, Spec, Status
from deployments.models import Endpoint, Rollout, RolloutEvent, Route
from deployments.reconcile import story
from deployments.reconcile.story import Chapter, Story
from governance import audit
from governance.domain.access import SYSTEM, Subject


class Overtaken(Exception):
    """Somebody else wrote first; look again."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """When each gateway acknowledged the routes that were waited for, by name."""

    at: dict[str, float]


def commit(
    story_read: Story, chapter: Chapter, decision: Decision, acknowledged: Acknowledged | None
) -> bool:
    """Whether the decision is now what holds. False: the caller looks again."""
    try:
        with transaction.atomic():
            _write(story_read, chapter, decision, acknowledged)
    except (Overtaken, IntegrityError):
        # IntegrityError: another rollout of this endpoint became active first.
        return False
    return True


def _write(
    story_read: Story, chapter: Chapter, decision: Decision, acknowledged: Acknowledged | None
) -> None:
    was, now = chapter.status, decision.status
    if was == now and acknowledged is None:
        _postpone_look(chapter.row, decision)
        return
    endpoint = Endpoint.objects.select_for_update().get(pk=story_read.endpoint.pk)
    if endpoint.stable_release_id != story_read.stable:
        raise Overtaken
    fields = _fields(chapter, now) | _timings(chapter, now, acknowledged)
    _update(chapter.row, fields, decision)
    _move_pointer(endpoint, chapter.spec, was, now)
    _rewrite_routes(endpoint)
    _record(story_read, chapter, decision, acknowledged)
    live.changed(f"endpoint:{endpoint.public_id}", chapter.row.revision + 1)
    live.changed("fleet", chapter.row.revision + 1)


def _fields(chapter: Chapter, now: Status) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "status": now.to_json(),
        "phase": str(now.phase),
        "outcome": str(now.outcome),
        "attempts": 0,
        "last_problem": "",
    }
    if chapter.status.phase is Phase.PENDING and now.phase is not Phase.PENDING:
        fields["spec"] = chapter.spec.to_json()
        fields["stable_release_id"] = chapter.spec.stable
    if now.phase is Phase.DONE:
        fields["finished_at"] = clock.now()
    return fields


def _timings(chapter: Chapter, now: Status, acknowledged: Acknowledged | None) -> dict[str, Any]:
    """When the routes were last changed, and when every gateway was first known to run them."""
    if now.split != chapter.status.split:
        return {"switched_at": clock.now(), "switch_acked_at": None}
    if acknowledged:
        latest = max(acknowledged.at.values(), default=clock.timestamp())
        return {"switch_acked_at": datetime.fromtimestamp(latest, UTC)}
    return {}


def _due(row: Rollout, decision: Decision) -> Any:
    """When to look again; at once if somebody asked for it since this pass began."""
    if decision.again_in is None:
        return Value(None)
    moment = clock.now()
    later = moment + timedelta(seconds=decision.again_in)
    return Case(When(wakes=row.wakes, then=Value(later)), default=Value(moment))


def _postpone_look(row: Rollout, decision: Decision) -> None:
    Rollout.objects.filter(pk=row.pk).update(due_at=_due(row, decision), attempts=0)


def _update(row: Rollout, fields: dict[str, Any], decision: Decision) -> None:
    won = Rollout.objects.filter(
        pk=row.pk, revision=row.revision, generation=row.generation
    ).update(**fields, revision=F("revision") + 1, due_at=_due(row, decision))
    if won != 1:
        raise Overtaken


def _move_pointer(endpoint: Endpoint, spec: Spec, was: Status, now: Status) -> None:
    """Promotion moves it, and with it the number of replicas; a rollout to the release that is
    stable already is there for the number alone."""
    stable = traffic.stable_after(spec, was, now, endpoint.stable_release_id)
    moved = stable != endpoint.stable_release_id
    resized = now.outcome is not was.outcome and stable == spec.target
    if moved or (resized and endpoint.replicas != spec.replicas):
        Endpoint.objects.filter(pk=endpoint.pk).update(
            stable_release=stable, replicas=spec.replicas, revision=F("revision") + 1
        )


def _rewrite_routes(endpoint: Endpoint) -> None:
    """Derive the endpoint's routes anew from all that is unfinished, and publish what changed."""
    current = story.read(endpoint.pk)
    desired = traffic.combine(current.stable, current.pairs())
    wanted = {
        release: desired.shares.get(release, traffic.Share())
        for release in desired.exposed | set(desired.shares)
    }
    existing = {route.release_id: route for route in Route.objects.filter(endpoint=endpoint)}
    for release in existing.keys() - wanted.keys():
        existing[release].delete()
    for release, share in wanted.items():
        Route.objects.update_or_create(
            endpoint=endpoint,
            release_id=release,
            defaults={"percent": share.percent, "mirror_percent": share.mirror_percent},
        )
    publish.publish(endpoint.environment_id)


def _record(
    story_read: Story, chapter: Chapter, decision: Decision, acknowledged: Acknowledged | None
) -> None:
    row, was, now = chapter.row, chapter.status, decision.status
    if decision.note:
        evidence = dict(now.reason.evidence) if now.reason and now.reason != was.reason else {}
        if now.split != was.split:
            evidence["split"] = now.split.to_json()
        RolloutEvent.objects.create(
            rollout=row, kind=_kind(was, now), message=decision.note, evidence=evidence
        )
    if acknowledged and row.switched_at:
        RolloutEvent.objects.create(
            rollout=row,
            kind="routes-acknowledged",
            message="Every gateway has acknowledged the routes.",
            evidence={"milliseconds": _milliseconds(acknowledged, row.switched_at.timestamp())},
        )
    subject = Subject(
        "rollout",
        row.pk,
        team_id=story_read.endpoint.model.team_id,
        environment_id=story_read.endpoint.environment_id,
        model_id=story_read.endpoint.model_id,
    )
    if now.split != was.split:
        audit.record(
            SYSTEM, "rollout.switch", subject, before=was.split.to_json(), after=now.split.to_json()
        )
    if now.outcome is not was.outcome and now.outcome is not Outcome.NONE:
        reason = now.reason.to_json() if now.reason else None
        audit.record(SYSTEM, "rollout.finish", subject, ended=str(now.outcome), reason=reason)


def _kind(was: Status, now: Status) -> str:
    if now.split != was.split:
        return "routes-changed"
    if now.phase is not was.phase:
        return str(now.phase)
    return str(now.waiting) or "step"


def _milliseconds(acknowledged: Acknowledged, since: float) -> dict[str, float]:
    return {
        name: round(max(0.0, moment - since) * 1000, 1) for name, moment in acknowledged.at.items()
    }
