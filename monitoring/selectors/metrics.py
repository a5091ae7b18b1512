"""Counters for Prometheus, of everything that the collectors ever counted.

Labels are few by design: endpoint, environment, version, class of the answer. Several releases of
one version, and several collectors, are one series.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from monitoring.domain.codec import unpack_histogram
from monitoring.models import Tally
from wire.histogram import Histogram, bucket_bounds

# Upper bounds in seconds, for those who look with classic buckets.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LABELS = ("endpoint", "environment", "version")
_CLASSES = ("2xx", "4xx", "5xx")

Labels = tuple[str, str, str]


class TrafficMetrics(Collector):
    """A `prometheus_client` collector: register it, or call `collect` for its families."""

    def collect(self) -> Iterable[Metric]:
        requests = CounterMetricFamily(
            "slipway_requests", "Answered inference requests.", labels=(*_LABELS, "class")
        )
        rows = CounterMetricFamily("slipway_rows", "Rows predicted.", labels=_LABELS)
        seconds = HistogramMetricFamily(
            "slipway_request_seconds", "Time to answer inside the model server.", labels=_LABELS
        )
        for labels, (counts, row_count, latency) in _tallies().items():
            for name, count in zip(_CLASSES, counts, strict=True):
                requests.add_metric([*labels, name], count)
            rows.add_metric(labels, row_count)
            seconds.add_metric(labels, list(_buckets(latency)), latency.sum)
        return [requests, rows, seconds]


def _tallies() -> dict[Labels, tuple[tuple[int, int, int], int, Histogram]]:
    found: dict[Labels, tuple[tuple[int, int, int], int, Histogram]] = {}
    rows = Tally.objects.values_list(
        "release__endpoint__model__name",
        "release__endpoint__environment__name",
        "release__version__number",
        "requests_2xx",
        "requests_4xx",
        "requests_5xx",
        "rows",
        "latency__total",
    )
    for model, environment, version, ok, client, server, row_count, latency in rows:
        labels = (model, environment, str(version))
        before, rows_before, latency_before = found.get(labels, ((0, 0, 0), 0, Histogram()))
        counts = (before[0] + ok, before[1] + client, before[2] + server)
        merged = latency_before.merge(unpack_histogram(latency))
        found[labels] = (counts, rows_before + row_count, merged)
    return found


def _buckets(latency: Histogram) -> Iterator[tuple[str, float]]:
    """Cumulative counts. A fine bucket that a bound cuts through is counted above the bound: the
    share below is never overstated, and the bound is off by the fine bucket's width at most."""
    tops = [
        bucket_bounds(latency.offset + position, latency.scale)[1]
        for position in range(len(latency.counts))
    ]
    for bound in BOUNDS:
        inside = sum(count for top, count in zip(tops, latency.counts, strict=True) if top <= bound)
        yield str(bound), latency.zero + inside
    yield "+Inf", latency.count
