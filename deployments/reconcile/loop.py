"""Look, decide, act, commit: one endpoint at a time, again and again until nothing is due.

Whoever holds the endpoint's lease works for everybody: a message that finds it taken is dropped,
because what it is about is already written in `due_at`, which the holder reads before it leaves
and once more after it has let go.
"""

from __future__ import annotations

import random
from datetime import timedelta

import structlog
from django.conf import settings
from django.db.models import F

from core import clock
from core.concurrency import lease
from deployments.domain.decide import decide
from deployments.domain.rollout import Phase
from deployments.domain.world import World
from deployments.models import Rollout
from deployments.reconcile import fleet, seen, smoke, story
from deployments.reconcile.commit import Acknowledged, commit
from deployments.reconcile.story import Chapter, Story

log = structlog.get_logger(__name__)

# A bound on one visit, so that a rollout that never comes to rest cannot keep a worker.
MAX_PASSES = 60
MAX_VISITS = 5
MAX_BACKOFF_SECONDS = 60.0


def reconcile(rollout_id: str) -> None:
    """Take this rollout, and all that is due at its endpoint, as far as it goes now."""
    endpoint_id = (
        Rollout.objects.filter(pk=rollout_id).values_list("endpoint_id", flat=True).first()
    )
    if endpoint_id is not None:
        reconcile_endpoint(endpoint_id)


def reconcile_endpoint(endpoint_id: str) -> None:
    """Converge the endpoint's replicas once, then everything that is due. Never waits."""
    for visit in range(MAX_VISITS):
        if visit and not _is_due(endpoint_id):
            return
        with lease("endpoint", endpoint_id, ttl=settings.CONFIG.lease_seconds) as held:
            if not held:
                return
            _visit(endpoint_id)


def _visit(endpoint_id: str) -> None:
    current = story.read(endpoint_id)
    silent = fleet.converge(current)
    for _ in range(MAX_PASSES):
        due = [each for each in current.chapters if _due(each)]
        if not due:
            return
        changed = [_pass(current, each, silent) for each in due]
        current = story.read(endpoint_id)
        if any(changed):
            silent = fleet.converge(current)


def _pass(current: Story, chapter: Chapter, silent_hosts: frozenset[str]) -> bool:
    """One look and one decision. Whether the status moved, so that the needs may have changed."""
    try:
        world = seen.look(current, chapter, silent_hosts)
        decision = decide(chapter.spec, chapter.status, world)
        for effect in decision.effects:
            smoke.carry_out(effect, current, chapter.row)
        if decision.effects:
            # What was done is only evidence once it has been seen.
            world = seen.look(current, chapter, silent_hosts)
            decision = decide(chapter.spec, chapter.status, world)
        acknowledged = _acknowledged(current, chapter, world)
        won = commit(current, chapter, decision, acknowledged)
    except Exception as problem:
        # The row must not be tripped over again at once; then the error may show itself.
        _postpone(chapter.row, problem)
        raise
    return won and decision.status != chapter.status


def _acknowledged(current: Story, chapter: Chapter, world: World) -> Acknowledged | None:
    """The first look at which every gateway runs the routes that this rollout changed last."""
    row, gateways = chapter.row, world.gateways
    if row.switched_at is None or row.switch_acked_at is not None or gateways.silent:
        return None
    settling = chapter.status.phase is Phase.SETTLING
    agreed = (
        gateways.clear_since is not None if settling else gateways.acked == chapter.status.split
    )
    return Acknowledged(seen.acknowledged_at(current)) if agreed else None


def _due(chapter: Chapter) -> bool:
    return chapter.row.due_at is not None and chapter.row.due_at <= clock.now()


def _is_due(endpoint_id: str) -> bool:
    return Rollout.objects.filter(endpoint_id=endpoint_id, due_at__lte=clock.now()).exists()


def _postpone(row: Rollout, problem: Exception) -> None:
    seconds = min(MAX_BACKOFF_SECONDS, 0.5 * 2**row.attempts) * random.uniform(0.8, 1.2)  # noqa: S311
    log.error("rollout_pass_failed", rollout=row.public_id, problem=repr(problem))
    Rollout.objects.filter(pk=row.pk).update(
        attempts=F("attempts") + 1,
        last_problem=repr(problem)[:2000],
        due_at=clock.now() + timedelta(seconds=seconds),
    )
