"""Reading windows from the database as samples of a chart."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from django.db.models import QuerySet

from monitoring.domain.codec import unpack_histogram
from monitoring.domain.series import Sample
from monitoring.models import Window

_FIELDS = (
    "release_id",
    "start",
    "end",
    "requests_2xx",
    "requests_4xx",
    "requests_5xx",
    "latency__total",
)


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def by_release(windows: QuerySet[Window]) -> dict[str, list[Sample]]:
    """One query; the rows never become model objects."""
    found: dict[str, list[Sample]] = {}
    rows: Iterable[tuple[str, datetime, datetime, int, int, int, list[object] | None]]
    rows = windows.order_by("end", "start").values_list(*_FIELDS)
    for release, start, end, ok, client, server, latency in rows:
        sample = Sample(
            start=int(start.timestamp()),
            end=int(end.timestamp()),
            requests=ok + client + server,
            errors=server,
            client_errors=client,
            latency=unpack_histogram(latency),
        )
        found.setdefault(release, []).append(sample)
    return found
