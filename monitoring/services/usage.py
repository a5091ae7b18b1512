"""What keys have used of endpoints, by day (UTC)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime

from django.db.models import F

from core import ids
from core.errors import NotFound
from deployments import wakeups
from deployments.models import EndpointKey, KeyUsage
from monitoring.domain.ledger import Entry

Used = tuple[str, str, date]
"""A key, an endpoint and a day."""


def add(entries: Iterable[Entry], endpoints: Mapping[str, str]) -> None:
    """Add what these entries gained, inside the transaction that stores how far was counted: so
    each request is added once, like every other count. `endpoints` are keys by release.

    Whoever has used up a key here wakes the publishing, so that gateways refuse it soon.
    """
    gained: Counter[Used] = Counter()
    latest: dict[str, float] = {}
    for entry in entries:
        endpoint = endpoints.get(entry.release)
        for name, count in entry.gained.keys.items():
            key = _key(name)
            if key is None or endpoint is None or not count:
                continue
            gained[key, endpoint, datetime.fromtimestamp(entry.at, UTC).date()] += count
            latest[key] = max(latest.get(key, 0.0), entry.at)
    if not gained:
        return
    limits = dict(EndpointKey.objects.filter(pk__in=latest).values_list("pk", "requests_per_day"))
    used_up = False
    # In one order everywhere: two collectors that add to the same rows must not wait for each
    # other.
    for used, count in sorted(gained.items()):
        if used[0] in limits:  # a replica may name what has never been a key
            used_up |= _add(used, count, limits[used[0]])
    for key in sorted(limits):
        EndpointKey.objects.filter(pk=key).update(
            last_used_at=datetime.fromtimestamp(latest[key], UTC)
        )
    if used_up:
        wakeups.admission_changed()


def _add(used: Used, count: int, limit: int | None) -> bool:
    """Whether this is what used the key up."""
    key, endpoint, day = used
    row = KeyUsage.objects.filter(key=key, endpoint=endpoint, day=day)
    if not row.update(requests=F("requests") + count):
        # Somebody else may make it at the same moment; then both add to it.
        KeyUsage.objects.bulk_create(
            [KeyUsage(key_id=key, endpoint_id=endpoint, day=day)], ignore_conflicts=True
        )
        row.update(requests=F("requests") + count)
    if limit is None:
        return False
    now = row.values_list("requests", flat=True).get()
    return now - count < limit <= now


def _key(name: str) -> str | None:
    try:
        return ids.parse(name, EndpointKey.PREFIX)
    except NotFound:
        return None
