"""Signs of life of Slipway's own programs: a moment in the cache, read by the health page."""

from __future__ import annotations

import structlog
from django.core.cache import cache

from core import clock

log = structlog.get_logger(__name__)

_KEPT_SECONDS = 3600


def beat(program: str) -> None:
    """Say that `program` is alive. Never fails: without Redis there is nobody to tell."""
    try:
        cache.set(_name(program), clock.timestamp(), _KEPT_SECONDS)
    except Exception as problem:  # noqa: BLE001 - whatever the cache raises, the program goes on
        log.warning("heartbeat_not_sent", program=program, problem=str(problem))


def seconds_since(program: str) -> float | None:
    """How long ago `program` said so; None when it has not within an hour."""
    moment = cache.get(_name(program))
    return None if moment is None else max(0.0, clock.timestamp() - float(moment))


def _name(program: str) -> str:
    return f"heartbeat:{program}"
