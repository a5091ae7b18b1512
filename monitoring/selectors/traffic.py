"""What an endpoint's chart and the fleet page show of the traffic."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q, QuerySet, Sum

from core import clock, ids
from core.errors import Invalid, NotFound
from deployments.models import Endpoint, Release, RolloutEvent
from governance import authorize
from governance.domain.access import Actor
from monitoring.domain.series import (
    Marker,
    Sample,
    Series,
    Sparkline,
    Traffic,
    points,
    step_for,
    summary,
    totals,
)
from monitoring.domain.windows import MINUTE, SECOND
from monitoring.models import Window
from monitoring.selectors.samples import by_release, moment

DEFAULT_SECONDS = 300
SHORTEST_SECONDS = 10
LONGEST_SECONDS = 24 * 3600
# Seconds are kept for 15 minutes; what looks further back reads minutes.
FINE_SECONDS = 15 * 60
_SPARK_SECONDS = 300
_SPARK_STEP = 10


def traffic(actor: Actor, endpoint_id: str, seconds: int = DEFAULT_SECONDS) -> Traffic:
    """The last `seconds` of one endpoint, at most 300 points per release.

    Raises:
        NotFound: there is no such endpoint, or `actor` may not see it.
        Invalid: the range is not between 10 seconds and a day.
    """
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise Invalid(
            f"Ask for {SHORTEST_SECONDS} to {LONGEST_SECONDS} seconds.", code="traffic:range"
        )
    endpoint = _endpoint(actor, endpoint_id)
    step = step_for(seconds)
    end = -(-int(clock.timestamp()) // step) * step
    begin = end - seconds
    samples = by_release(_windows(endpoint.pk, begin, end))
    everything = [sample for each in samples.values() for sample in each]
    whole = totals(everything)
    return Traffic(
        endpoint=endpoint.public_id,
        begin=begin,
        end=end,
        step=step,
        summary=summary(whole, seconds),
        totals=whole,
        series=_series(samples, step),
        markers=_markers(endpoint.pk, moment(begin), moment(end)),
    )


def fleet_traffic(actor: Actor) -> dict[str, Sparkline]:
    """The last five minutes of every endpoint that `actor` may see, by the endpoint's public id.

    One query for the windows. Endpoints without any are absent.
    """
    end = int(clock.timestamp()) // _SPARK_STEP * _SPARK_STEP
    begin = end - _SPARK_SECONDS
    seen = _visible(actor).values("pk")
    rows = (
        Window.objects.filter(endpoint__in=seen, resolution=SECOND)
        .filter(end__gt=moment(begin), end__lte=moment(end))
        .values_list("endpoint_id", "end")
        .annotate(ok=Sum("requests_2xx"), client=Sum("requests_4xx"), server=Sum("requests_5xx"))
    )
    cells = _SPARK_SECONDS // _SPARK_STEP
    requests: dict[str, list[int]] = {}
    errors: dict[str, list[int]] = {}
    for endpoint, ended, ok, client, server in rows:
        at = min(cells - 1, (int(ended.timestamp()) - 1 - begin) // _SPARK_STEP)
        requests.setdefault(endpoint, [0] * cells)[at] += ok + client + server
        errors.setdefault(endpoint, [0] * cells)[at] += server
    return {
        (public := ids.public(Endpoint.PREFIX, endpoint)): Sparkline(
            endpoint=public,
            step=_SPARK_STEP,
            requests_per_second=tuple(count / _SPARK_STEP for count in counted),
            errors_per_second=tuple(count / _SPARK_STEP for count in errors[endpoint]),
        )
        for endpoint, counted in requests.items()
    }


def _visible(actor: Actor) -> QuerySet[Endpoint]:
    return authorize.visible(
        actor,
        "endpoint.read",
        Endpoint.objects.all(),
        team_path="model__team_id",
        environment_path="environment_id",
        model_path="model_id",
    )


def _endpoint(actor: Actor, public_id: str) -> Endpoint:
    endpoint = _visible(actor).filter(pk=ids.parse(public_id, Endpoint.PREFIX)).first()
    if endpoint is None:
        raise NotFound("There is no such endpoint.")
    return endpoint


def _windows(endpoint: str, begin: int, end: int) -> QuerySet[Window]:
    """Seconds for a short range; for a long one minutes, then the seconds not yet in a minute."""
    inside = Window.objects.filter(
        endpoint_id=endpoint, end__gt=moment(begin), start__lt=moment(end)
    )
    if end - begin <= FINE_SECONDS:
        return inside.filter(resolution=SECOND)
    minutes = inside.filter(resolution=MINUTE)
    latest = minutes.order_by("-end").values_list("end", flat=True).first()
    fresh = Q(resolution=SECOND)
    if latest is not None:
        fresh &= Q(start__gte=latest)
    return inside.filter(Q(resolution=MINUTE) | fresh)


def _series(samples: dict[str, list[Sample]], step: int) -> tuple[Series, ...]:
    releases = Release.objects.filter(pk__in=samples).select_related("version")
    made = [
        Series(
            release=release.public_id,
            version=release.version.number,
            points=points(samples[release.pk], step),
            totals=totals(samples[release.pk]),
        )
        for release in releases
    ]
    return tuple(sorted(made, key=lambda series: (series.version, series.release)))


def _markers(endpoint: str, begin: datetime, end: datetime) -> tuple[Marker, ...]:
    """Every change of the endpoint's routes in the range, at the moment it was decided."""
    events = RolloutEvent.objects.filter(
        rollout__endpoint_id=endpoint,
        kind="routes-changed",
        at__range=(begin - timedelta(seconds=1), end),
    ).select_related("rollout__target_release__version")
    return tuple(_marker(event) for event in events.order_by("pk"))


def _marker(event: RolloutEvent) -> Marker:
    rollout = event.rollout
    version = rollout.target_release.version.number
    percent = event.evidence["split"]["target_percent"]
    if percent == 100:
        kind, label = "switched", f"Version {version} takes over"
    elif percent:
        kind, label = "weighted", f"Version {version} gets {percent} %"
    else:
        kind, label = "reverted", f"Version {version} taken back"
    return Marker(
        t=event.at.timestamp(),
        kind=kind,
        label=label,
        rollout=rollout.public_id,
        number=rollout.number,
    )
