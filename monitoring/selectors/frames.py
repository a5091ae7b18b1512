"""Chart frames: the newest second of every endpoint, as open pages get it each second.

A frame holds one moment and, for each release measured in it, requests and errors per second and
quantiles in milliseconds. Only the newest counts; a page that missed some loads the chart again.
"""

from __future__ import annotations

from typing import Any

from core import ids
from deployments.models import Endpoint, Release
from monitoring.domain.series import Sample, merged
from monitoring.domain.shards import Shard
from monitoring.domain.windows import SECOND
from monitoring.models import Window
from monitoring.selectors.samples import by_release, moment


def topic(endpoint: str) -> str:
    """The topic of an endpoint's frames; `endpoint` is the public id."""
    return f"endpoint:{endpoint}:traffic"


class Frames:
    """Makes the frames of one collector's endpoints: each endpoint is published by one of them.

    Remembers which release belongs where; both never change.
    """

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._homes: dict[str, tuple[str, int]] = {}

    def at(self, end: int) -> dict[str, dict[str, Any]]:
        """Frames by topic, of the windows that ended at `end`. One query, and one more when a
        release is seen for the first time, however many endpoints there are."""
        newest = Window.objects.filter(resolution=SECOND, end=moment(end))
        samples = by_release(newest)
        self._learn(samples.keys() - self._homes.keys())
        frames: dict[str, dict[str, Any]] = {}
        for release, taken in samples.items():
            endpoint, version = self._homes[release]
            if self._shard.holds(endpoint):
                name = topic(ids.public(Endpoint.PREFIX, endpoint))
                frame = frames.setdefault(name, {"at": end, "releases": {}})
                public = ids.public(Release.PREFIX, release)
                frame["releases"][public] = {"version": version, **_measures(taken)}
        return frames

    def _learn(self, releases: set[str]) -> None:
        if not releases:
            return
        rows = Release.objects.filter(pk__in=releases)
        for release, endpoint, number in rows.values_list("pk", "endpoint_id", "version__number"):
            self._homes[release] = (endpoint, number)


def _measures(samples: list[Sample]) -> dict[str, float | None]:
    point = merged(samples)
    return {
        "requests": point.requests_per_second,
        "errors": point.errors_per_second,
        "p50": point.p50_ms,
        "p95": point.p95_ms,
        "p99": point.p99_ms,
    }
