"""Celery entry points. They carry ids only, and ignore arguments of newer senders."""

from __future__ import annotations

from celery import shared_task

from core import heartbeat
from deployments.reconcile import loop, patrol
from governance.api.permissions import declares

SWEEP_LIMIT = 200


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
    patrol.sweep(limit=SWEEP_LIMIT)


@declares("routes.publish")
@shared_task(name="deployments.tasks.publish_admission", soft_time_limit=20, time_limit=30)
def publish_admission(**unknown: object) -> None:
    del unknown
    patrol.publish_admission()
