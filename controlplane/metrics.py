"""Numbers about Slipway itself, for Prometheus. Few labels, no names of models or people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.db.models import Count
from django.http import HttpRequest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from deployments.models import Replica, Rollout
from monitoring.selectors.metrics import TrafficMetrics

REGISTRY = CollectorRegistry()
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_requests = Counter(
    "slipway_http_requests",
    "Requests answered by web, by address pattern.",
    ["route", "method", "status"],
    registry=REGISTRY,
)
_seconds = Histogram(
    "slipway_http_request_seconds",
    "Time to answer, by address pattern.",
    ["route"],
    registry=REGISTRY,
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


def observe_request(request: HttpRequest, status: int, seconds: float) -> None:
    """Count one request under its pattern; whatever matched none is one label together."""
    match = request.resolver_match
    route = match.route if match is not None else "none"
    method = request.method if request.method in _METHODS else "other"
    _requests.labels(route, method, str(status)).inc()
    _seconds.labels(route).observe(seconds)


class _Rows(Collector):
    """What the database says at the moment of the scrape."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        rollouts = Rollout.objects.values_list("phase").annotate(n=Count("pk"))
        yield _gauge("slipway_rollouts", "Rollouts by phase.", "phase", rollouts)
        replicas = Replica.objects.values_list("state").annotate(n=Count("pk"))
        yield _gauge("slipway_replicas", "Replicas by state.", "state", replicas)


def _gauge(name: str, text: str, label: str, rows: Iterable[tuple[str, int]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in rows:
        family.add_metric([value], number)
    return family


def exposition() -> bytes:
    """Everything, in Prometheus' text format."""
    scrape = CollectorRegistry()
    scrape.register(_Rows())
    scrape.register(TrafficMetrics())
    return generate_latest(REGISTRY) + generate_latest(scrape)
