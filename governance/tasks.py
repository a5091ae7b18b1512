"""What governance does by itself, now and then."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from core.api import idempotency
from governance.domain.declare import declares


@shared_task(ignore_result=True, soft_time_limit=60, time_limit=90)
@declares("retention.sweep")
def forget_expired_requests(**unknown: Any) -> None:
    """Delete the answers that were kept for repeated requests, once their time has passed."""
    del unknown
    while idempotency.forget_expired():
        pass
