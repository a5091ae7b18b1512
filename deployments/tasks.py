"""Celery entry points. They carry ids only, and ignore arguments of newer senders."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings

from core import heartbeat
from deployments.reconcile import builds, image_work, loop, patrol
from deployments.services import garbage
from governance.api.permissions import declares
from governance.domain.access import SYSTEM

SWEEP_LIMIT = 200
# A build ends itself when its time is over; these are for one that cannot.
_BUILD_SOFT_SECONDS = round(settings.CONFIG.build_seconds) + 30
_BUILD_HARD_SECONDS = round(settings.CONFIG.build_seconds) + 90


@declares("rollout.reconcile")
@shared_task(name="deployments.tasks.reconcile_rollout", soft_time_limit=60, time_limit=90)
def reconcile_rollout(rollout_id: str, **unknown: object) -> None:
    del unknown
    loop.reconcile(rollout_id)


@declares("endpoint.reconcile")
@shared_task(name="deployments.tasks.reconcile_endpoint", soft_time_limit=60, time_limit=90)
def reconcile_endpoint(endpoint_id: str, **unknown: object) -> None:
    del unknown
    loop.reconcile_endpoint(endpoint_id)


@declares("rollout.sweep")
@shared_task(name="deployments.tasks.sweep", soft_time_limit=20, time_limit=30)
def sweep(**unknown: object) -> None:
    del unknown
    heartbeat.beat("worker")  # a worker that sweeps is one that works
    builds.sweep()
    patrol.sweep(limit=SWEEP_LIMIT)


@declares("routes.publish")
@shared_task(name="deployments.tasks.publish_admission", soft_time_limit=20, time_limit=30)
def publish_admission(**unknown: object) -> None:
    del unknown
    patrol.publish_admission()


@declares("image.build")
@shared_task(
    name="deployments.tasks.build_image",
    soft_time_limit=_BUILD_SOFT_SECONDS,
    time_limit=_BUILD_HARD_SECONDS,
)
def build_image(build_id: str, **unknown: object) -> None:
    """Builds an image or brings one to a host, whichever the row says. It may take longer than
    the broker waits for a task: one that comes again meanwhile finds the row held, and leaves."""
    del unknown
    image_work.work(build_id)


@declares("image.collect")
@shared_task(
    name="deployments.tasks.build_garbage",
    soft_time_limit=_BUILD_SOFT_SECONDS,
    time_limit=_BUILD_HARD_SECONDS,
)
def build_garbage(**unknown: object) -> None:
    del unknown
    garbage.collect(actor=SYSTEM)
