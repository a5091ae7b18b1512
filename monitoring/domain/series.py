"""Windows as charts want them: few points per release, a sentence, totals.

Points are made by merging windows, never by averaging quantiles. A window that is longer than a
point swallows the points that it covers: what is known only from–to is drawn from–to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from wire.histogram import Histogram, merge_all

MOST_POINTS = 300
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a chart needs of one window. Errors are the server's fault, `client_errors` are not."""

    start: int
    end: int
    requests: int = 0
    errors: int = 0
    client_errors: int = 0
    latency: Histogram = field(default_factory=Histogram)


@dataclass(frozen=True, slots=True)
class Point:
    """`t` is the end in seconds since the epoch, `seconds` how much time was measured before it.
    Quantiles are milliseconds, None when nothing was answered."""

    t: int
    seconds: int
    requests_per_second: float
    errors_per_second: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Totals:
    """A whole range in a few numbers; `requests_per_second` is over the measured time."""

    requests: int = 0
    errors: int = 0
    client_errors: int = 0
    requests_per_second: float = 0.0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One release's line. `release` is the public id, `version` its model version's number."""

    release: str
    version: int
    points: tuple[Point, ...] = ()
    totals: Totals = Totals()

    def columns(self) -> dict[str, Any]:
        """The points as one list per field, as charts take them."""
        return {
            "release": self.release,
            "version": self.version,
            **{name: [getattr(point, name) for point in self.points] for name in COLUMNS},
        }


COLUMNS = (
    "t",
    "seconds",
    "requests_per_second",
    "errors_per_second",
    "p50_ms",
    "p95_ms",
    "p99_ms",
)


@dataclass(frozen=True, slots=True)
class Marker:
    """A moment worth a line across the chart. `kind` is `switched` or `reverted`."""

    t: float
    kind: str
    label: str
    rollout: str
    number: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """Everything that an endpoint's chart shows of the range (`begin`, `end`]."""

    endpoint: str
    begin: int
    end: int
    step: int
    summary: str
    totals: Totals
    series: tuple[Series, ...] = ()
    markers: tuple[Marker, ...] = ()


@dataclass(frozen=True, slots=True)
class Sparkline:
    """Requests and errors per second of one endpoint, oldest first, `step` seconds each; `now` is
    the newest complete one."""

    endpoint: str
    step: int
    requests_per_second: tuple[float, ...] = field(default=())
    errors_per_second: tuple[float, ...] = field(default=())

    @property
    def now(self) -> float:
        return self.requests_per_second[-1] if self.requests_per_second else 0.0


def step_for(seconds: int, most: int = MOST_POINTS) -> int:
    """The smallest round step that draws `seconds` with at most `most` points."""
    return next((step for step in _STEPS if seconds <= step * most), _STEPS[-1])


def points(samples: Iterable[Sample], step: int) -> tuple[Point, ...]:
    """At most one point per `step`, oldest first."""
    groups: list[tuple[int, list[Sample]]] = []
    for sample in sorted(samples, key=lambda each: each.start // step):
        low, high = sample.start // step * step, -(-sample.end // step) * step
        if groups and low < groups[-1][0]:
            groups[-1] = (max(groups[-1][0], high), [*groups[-1][1], sample])
        else:
            groups.append((high, [sample]))
    return tuple(merged(members) for _, members in groups)


def merged(samples: Sequence[Sample]) -> Point:
    """All of them as one point. There must be one at least."""
    whole = totals(samples)
    seconds = covered(samples)
    return Point(
        t=max(sample.end for sample in samples),
        seconds=seconds,
        requests_per_second=whole.requests_per_second,
        errors_per_second=_rate(whole.errors, seconds),
        p50_ms=whole.p50_ms,
        p95_ms=whole.p95_ms,
        p99_ms=whole.p99_ms,
    )


def totals(samples: Sequence[Sample]) -> Totals:
    latency = merge_all(sample.latency for sample in samples)
    requests = sum(sample.requests for sample in samples)
    return Totals(
        requests=requests,
        errors=sum(sample.errors for sample in samples),
        client_errors=sum(sample.client_errors for sample in samples),
        requests_per_second=_rate(requests, covered(samples)),
        p50_ms=_milliseconds(latency, 0.50),
        p95_ms=_milliseconds(latency, 0.95),
        p99_ms=_milliseconds(latency, 0.99),
    )


def covered(samples: Iterable[Sample]) -> int:
    """How many seconds the samples speak about; overlapping ones count once."""
    total, reached = 0, 0
    for start, end in sorted((sample.start, sample.end) for sample in samples):
        if end > reached:
            total += end - max(start, reached)
            reached = end
    return total


def summary(total: Totals, seconds: int) -> str:
    """The chart in one sentence."""
    span = _span(seconds)
    if not total.requests:
        return f"No requests in the last {span}."
    failed = "none failed" if not total.errors else f"{total.errors:,} failed"
    text = f"{total.requests:,} requests in the last {span}, {failed}"
    if total.client_errors:
        text += f", {total.client_errors:,} refused as wrong"
    if total.p50_ms is not None and total.p99_ms is not None:
        text += f"; half took up to {total.p50_ms:.1f} ms, 99 % up to {total.p99_ms:.1f} ms"
    return text + "."


def _rate(count: int, seconds: int) -> float:
    return round(count / seconds, 3) if seconds else 0.0


def _milliseconds(latency: Histogram, q: float) -> float | None:
    value = latency.quantile(q)
    return None if value is None else round(value * 1000, 3)


def _span(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} seconds"
    if seconds < 7200:
        return f"{round(seconds / 60)} minutes"
    return f"{round(seconds / 3600)} hours"
