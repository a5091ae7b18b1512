"""The Celery application. Its settings are the measured ones; see docs/adr."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

from controlplane.config import Config

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")

VISIBILITY_SECONDS = 900

app = Celery("slipway")


def _settings() -> dict[str, Any]:
    config = settings.CONFIG
    return {
        "broker_url": _checking(config.redis_url),
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_SECONDS,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_timeout": 30,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 25,
            "retry_on_timeout": True,
            # For senders: with Redis away, a request must not wait for it. The sweep will find
            # what was not sent. Workers connect again by the settings below, for ever.
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.1,
            "interval_max": 0.1,
            "global_keyprefix": "slipway:",
        },
        "visibility_timeout": VISIBILITY_SECONDS,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_acks_on_failure_or_timeout": True,
        "task_soft_time_limit": 540,
        "task_time_limit": 600,
        "task_ignore_result": True,
        "task_track_started": False,
        "task_publish_retry": True,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": True,
        "worker_soft_shutdown_timeout": 30,
        "worker_enable_soft_shutdown_on_idle": True,
        "worker_max_tasks_per_child": 500,
        "worker_max_memory_per_child": 512_000,
        "task_default_queue": "rollout",
        "task_routes": {
            "deployments.tasks.build_*": {"queue": "build"},
            "deployments.*": {"queue": "rollout"},
            "monitoring.*": {"queue": "monitor"},
            "governance.*": {"queue": "govern"},
        },
        "beat_schedule": _schedule(config),
        "beat_schedule_filename": str(settings.HOME / "run" / "beat-schedule"),
    }


def _checking(url: str) -> str:
    """With TLS, kombu alone looks at no certificate unless the address says so."""
    parts = urlsplit(url)
    if parts.scheme != "rediss" or "ssl_cert_reqs=" in parts.query:
        return url
    query = "&".join(filter(None, (parts.query, "ssl_cert_reqs=required")))
    return urlunsplit(parts._replace(query=query))


def _schedule(config: Config) -> dict[str, Any]:
    # What nobody took before the next one is due says nothing new: it expires.
    every = {
        "deployments.tasks.sweep": max(config.sweep_seconds, 1.0),
        "deployments.tasks.build_garbage": config.collect_seconds,
        "governance.tasks.forget_expired_requests": 3600.0,
    }
    schedule = {
        task: {"task": task, "schedule": seconds, "options": {"expires": seconds}}
        for task, seconds in every.items()
    }
    schedule["deployments.tasks.sweep"]["schedule"] = config.sweep_seconds
    return schedule


app.conf.update(_settings())
app.autodiscover_tasks()


@setup_logging.connect
def _logging(**_: Any) -> None:
    """Leave logging to Django's settings; Celery would otherwise replace the handlers."""
