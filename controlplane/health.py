"""Is Slipway alive, is it ready, and what does it count?

Web is ready when its database answers: everything else it can do without for a while, so that is
reported as degraded, with a hint, and answered with 200.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import redis
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from controlplane import metrics
from core import clock, heartbeat
from deployments.models import Gateway
from governance.domain.catalogue import PUBLIC
from governance.domain.declare import declares

_REDIS_TIMEOUT = 1.0
_PROGRAM_SILENCE_SECONDS = 30.0
_LEAST_FREE_BYTES = 1024**3


@dataclass(frozen=True, slots=True)
class Check:
    """One dependency. `hint` says what to do when it is not ok."""

    ok: bool
    latency_ms: float
    hint: str = ""


class NotOk(Exception):
    """A check failed; the text is the hint."""


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _redis() -> None:
    client = redis.Redis.from_url(
        settings.CONFIG.redis_url,
        socket_timeout=_REDIS_TIMEOUT,
        socket_connect_timeout=_REDIS_TIMEOUT,
    )
    with client:
        client.ping()


def _program(name: str) -> Callable[[], None]:
    def check() -> None:
        silent = heartbeat.seconds_since(name)
        if silent is None or silent > _PROGRAM_SILENCE_SECONDS:
            raise NotOk(f"No sign of life from {name}; see whether it runs.")

    return check


def _gateways() -> None:
    limit = clock.now() - timedelta(seconds=settings.CONFIG.gateway_silence_seconds)
    registered = Gateway.objects.filter(removed_at__isnull=True)
    silent = registered.exclude(last_poll_at__gte=limit).count()
    if silent:
        raise NotOk(f"{silent} gateway(s) have not asked for their configuration lately.")


def _disk() -> None:
    if shutil.disk_usage(settings.HOME).free < _LEAST_FREE_BYTES:
        raise NotOk("Less than 1 GiB is free where Slipway keeps its state.")


CHECKS: dict[str, tuple[Callable[[], None], str]] = {
    "database": (_database, "The database does not answer; nothing works without it."),
    "redis": (_redis, "Redis does not answer; rollouts go on by sweeps, pages do not update."),
    "worker": (_program("worker"), "The worker cannot be asked without Redis."),
    "collector": (_program("collector"), "The collector cannot be asked without Redis."),
    "gateways": (_gateways, "The gateways are unknown while the database does not answer."),
    "disk": (_disk, "The folder of Slipway's state cannot be read."),
}


def _run(check: Callable[[], None], hint: str) -> Check:
    started = time.perf_counter()
    try:
        check()
        problem = ""
    except NotOk as found:
        problem = str(found)
    except Exception:  # noqa: BLE001 - any failure of a dependency is what this reports
        problem = hint
    return Check(not problem, round((time.perf_counter() - started) * 1000, 2), problem)


def report() -> tuple[bool, dict[str, Any]]:
    """Whether web is ready, and the whole picture."""
    checks = {name: _run(check, hint) for name, (check, hint) in CHECKS.items()}
    ready = checks["database"].ok
    complete = all(check.ok for check in checks.values())
    word = "ready" if complete else "degraded" if ready else "unavailable"
    return ready, {
        "status": word,
        "checks": {name: asdict(check) for name, check in checks.items()},
    }


@declares(PUBLIC)
@never_cache
@require_safe
def livez(request: HttpRequest) -> JsonResponse:
    """This process answers; it asks nobody else."""
    del request
    return JsonResponse({"status": "alive"})


@declares(PUBLIC)
@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    del request
    ready, picture = report()
    return JsonResponse(picture, status=200 if ready else 503)


@declares(PUBLIC)
@never_cache
@require_safe
def prometheus(request: HttpRequest) -> HttpResponse:
    del request
    return HttpResponse(
        metrics.exposition(), content_type="text/plain; version=0.0.4; charset=utf-8"
    )
