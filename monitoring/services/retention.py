"""Deleting what is older than it may become."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef

from core import clock
from deployments.models import KeyUsage, Replica
from monitoring.domain.windows import MINUTE, SECOND
from monitoring.models import Baseline, Window

# A late answer of an ended replica must still find its baseline, or it would be counted again.
ENDED_FOR = timedelta(hours=1)
# A year and a month: what a key used is looked at when it is rotated, and that is once a year.
USAGE_KEPT_FOR = timedelta(days=400)


def sweep() -> None:
    """Delete old windows, old days of keys, and the baselines of replicas that ended a while ago.

    Idempotent, and harmless when several collectors do it.
    """
    moment = clock.now()
    for resolution, seconds in (
        (SECOND, settings.CONFIG.window_second_retention),
        (MINUTE, settings.CONFIG.window_minute_retention),
    ):
        limit = moment - timedelta(seconds=seconds)
        Window.objects.filter(resolution=resolution, end__lt=limit).delete()
    ended = Replica.objects.filter(ended_at__lt=moment - ENDED_FOR).exclude(
        state__in=Replica.PRESENT
    )
    KeyUsage.objects.filter(day__lt=(moment - USAGE_KEPT_FOR).date()).delete()
    Baseline.objects.filter(Exists(ended.filter(pk=OuterRef("replica_id")))).delete()
