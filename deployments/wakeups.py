"""Hurry-ups: saying that a rollout or an endpoint should be looked at now.

The truth is in the rows: `due_at` is set and `wakes` is counted in the caller's transaction, and
the sweep finds every due row. The message sent after the commit only makes it prompt, so losing
it costs a sweep's delay and nothing else.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import redis
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F

from core import clock
from deployments.domain.gateways import SNAPSHOT_CHANNEL
from deployments.models import Rollout

if TYPE_CHECKING:
    from collections.abc import Iterable

log = structlog.get_logger(__name__)

RECONCILE_ROLLOUT = "deployments.tasks.reconcile_rollout"
RECONCILE_ENDPOINT = "deployments.tasks.reconcile_endpoint"
BUILD_IMAGE = "deployments.tasks.build_image"

# A message that no worker took by then is sent again by the sweep; so they do not pile up.
_BUILD_MESSAGE_SECONDS = 30
PUBLISH_ADMISSION = "deployments.tasks.publish_admission"


def wake(rollout_id: str) -> None:
    """Look at this rollout now."""
    _wake(Rollout.objects.filter(pk=rollout_id).values_list("pk", flat=True))


def remind(rollout_id: str) -> None:
    """Send the message again for a row that is due already."""
    _send(RECONCILE_ROLLOUT, rollout_id)


def wake_endpoint(endpoint_id: str) -> None:
    """Look at an endpoint's replicas, and at its unfinished rollouts, now."""
    unfinished = Rollout.objects.filter(endpoint_id=endpoint_id).exclude(phase="done")
    _wake(unfinished.values_list("pk", flat=True))
    _send(RECONCILE_ENDPOINT, endpoint_id)


def wake_build(build_id: str) -> None:
    """A worker may take this build, now that nothing is in its way."""
    _send(BUILD_IMAGE, build_id, expires=_BUILD_MESSAGE_SECONDS)


def wake_image(image_id: str) -> None:
    """An image was built or brought somewhere, or was not: look at the endpoints that wait for
    it."""
    waiting = Rollout.objects.filter(target_release__image=image_id).exclude(phase="done")
    for endpoint_id in set(waiting.values_list("endpoint", flat=True)):
        wake_endpoint(endpoint_id)


def gateway_acknowledged(environment_id: str) -> None:
    """A gateway has acknowledged or rejected something: look at what waits for it."""
    waiting = Rollout.objects.filter(endpoint__environment_id=environment_id)
    _wake(waiting.exclude(phase="done").values_list("pk", flat=True))


def snapshots_published() -> None:
    """Gateways have something new to fetch."""
    transaction.on_commit(_publish_snapshots)


def admission_changed() -> None:
    """A key was used up: gateways should be told before the next sweep."""
    _send(PUBLISH_ADMISSION)


def replica_changed(release_id: str, endpoint_id: str) -> None:
    """A replica of this release became ready, or ended."""
    del release_id
    wake_endpoint(endpoint_id)


def _wake(ids: Iterable[str]) -> None:
    woken = list(ids)
    if not woken:
        return
    Rollout.objects.filter(pk__in=woken).update(due_at=clock.now(), wakes=F("wakes") + 1)
    for rollout_id in woken:
        _send(RECONCILE_ROLLOUT, rollout_id)


def _publish_snapshots() -> None:
    try:
        _redis().publish(SNAPSHOT_CHANNEL, b"")
    except redis.RedisError as problem:
        log.warning("snapshots_not_announced", problem=str(problem))


@cache
def _redis() -> redis.Redis:
    # Short: a missed announcement costs half a second, waiting for Redis would cost more.
    return redis.Redis.from_url(
        settings.CONFIG.redis_url, socket_timeout=1, socket_connect_timeout=1
    )


def _send(task: str, *keys: str, expires: float | None = None) -> None:
    transaction.on_commit(lambda: _publish(task, *keys, expires=expires))


def _publish(task: str, *keys: str, expires: float | None = None) -> None:
    # Imported by name: the tasks are entry points above this module.
    from celery import current_app  # noqa: PLC0415 - celery is slow to import where nothing is sent

    try:
        current_app.send_task(task, args=keys, retry=False, expires=expires)
    except Exception as problem:  # noqa: BLE001 - Redis down: the sweep will find the row
        log.warning("wake_not_sent", task=task, keys=keys, problem=str(problem))
