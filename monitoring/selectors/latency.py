"""How slow every endpoint is now, for the fleet page."""

from __future__ import annotations

from core import clock, ids
from deployments.models import Endpoint
from governance import authorize
from governance.domain.access import Actor
from monitoring.domain.codec import unpack_histogram
from monitoring.domain.windows import SECOND
from monitoring.models import Window
from monitoring.selectors.samples import moment
from wire.histogram import Histogram, merge_all

_SECONDS = 30


def fleet_p95(actor: Actor) -> dict[str, float]:
    """p95 in milliseconds over the last 30 seconds of every endpoint that `actor` may see, by the
    endpoint's public id. One query; endpoints that nobody asked are absent."""
    seen = authorize.visible(
        actor,
        "endpoint.read",
        Endpoint.objects.all(),
        team_path="model__team_id",
        environment_path="environment_id",
        model_path="model_id",
    )
    rows = Window.objects.filter(
        endpoint__in=seen.values("pk"),
        resolution=SECOND,
        end__gt=moment(clock.timestamp() - _SECONDS),
    ).values_list("endpoint_id", "latency__total")
    found: dict[str, list[Histogram]] = {}
    for endpoint, latency in rows:
        found.setdefault(endpoint, []).append(unpack_histogram(latency))
    whole = {endpoint: merge_all(parts).quantile(0.95) for endpoint, parts in found.items()}
    return {
        ids.public(Endpoint.PREFIX, endpoint): value * 1000
        for endpoint, value in whole.items()
        if value is not None
    }
