"""What a replica shows of itself: counts since it booted, taken apart by the collector.

A report is cumulative and keyed by (replica, boot_id, sequence). The collector keeps the last one
and takes the difference, so a missed pull loses nothing and a repeated one counts nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wire import histogram
from wire.errors import NotCumulative, Unreadable
from wire.fields import Fields
from wire.histogram import Histogram

FORMAT = 2
# A replica of the release before an upgrade goes on reporting until it is replaced.
_READ = (1, FORMAT)
OUTCOMES = ("2xx", "4xx", "5xx")
MAX_CODES = 200
MAX_KEYS = 1001  # a thousand, and all that came after them as one


_EMPTY = Histogram()  # immutable, so one serves as every default


@dataclass(frozen=True, slots=True)
class Latency:
    """`total` has one entry per counted request; `queue` and `inference` one per inference."""

    total: Histogram = _EMPTY
    inference: Histogram = _EMPTY
    queue: Histogram = _EMPTY

    def merge(self, other: Latency) -> Latency:
        return Latency(
            self.total.merge(other.total),
            self.inference.merge(other.inference),
            self.queue.merge(other.queue),
        )

    def minus(self, earlier: Latency) -> Latency:
        return Latency(
            histogram.difference(self.total, earlier.total),
            histogram.difference(self.inference, earlier.inference),
            histogram.difference(self.queue, earlier.queue),
        )

    def to_json(self) -> dict[str, object]:
        return {
            "total": self.total.to_json(),
            "inference": self.inference.to_json(),
            "queue": self.queue.to_json(),
        }

    @classmethod
    def from_json(cls, raw: object) -> Latency:
        given = Fields(raw, kind="report", where="latency")
        latency = cls(
            *(Histogram.from_json(given.take(n), where=n) for n in ("total", "inference", "queue"))
        )
        given.close()
        return latency


def _none_answered() -> dict[str, int]:
    return dict.fromkeys(OUTCOMES, 0)


@dataclass(frozen=True, slots=True)
class Counts:
    """Everything that only ever grows while a replica runs; merges and subtracts field by field.

    `keys` are the requests of each endpoint key, by the key's id; those without one are not in it.
    """

    requests: Mapping[str, int] = field(default_factory=_none_answered)
    refused: Mapping[str, int] = field(default_factory=dict)
    smoke: int = 0
    rows: int = 0
    latency: Latency = field(default_factory=Latency)
    keys: Mapping[str, int] = field(default_factory=dict)

    @property
    def total_requests(self) -> int:
        return sum(self.requests.values())

    def merge(self, other: Counts) -> Counts:
        """Both together. Associative and commutative; `Counts()` changes nothing."""
        return Counts(
            requests=_added(self.requests, other.requests),
            refused=_added(self.refused, other.refused),
            keys=_added(self.keys, other.keys),
            smoke=self.smoke + other.smoke,
            rows=self.rows + other.rows,
            latency=self.latency.merge(other.latency),
        )

    def minus(self, earlier: Counts) -> Counts:
        """What was counted since `earlier`; raises NotCumulative when that is less than nothing."""
        if self.smoke < earlier.smoke or self.rows < earlier.rows:
            raise _shrunk("smoke inferences or rows")
        return Counts(
            requests=_subtracted(self.requests, earlier.requests),
            refused=_subtracted(self.refused, earlier.refused),
            keys=_subtracted(self.keys, earlier.keys),
            smoke=self.smoke - earlier.smoke,
            rows=self.rows - earlier.rows,
            latency=self.latency.minus(earlier.latency),
        )

    def to_json(self) -> dict[str, object]:
        return {
            "requests": dict(self.requests),
            "refused": dict(self.refused),
            "keys": dict(self.keys),
            "smoke": self.smoke,
            "rows": self.rows,
            "latency": self.latency.to_json(),
        }

    @classmethod
    def from_json(cls, raw: object) -> Counts:
        given = Fields(raw, kind="report", where="counts")
        counts = cls._read(given)
        given.close()
        return counts

    @classmethod
    def _read(cls, given: Fields) -> Counts:
        return cls(
            requests=given.counters("requests", longest=len(OUTCOMES), allowed=OUTCOMES),
            refused=given.counters("refused", longest=MAX_CODES),
            keys=given.counters("keys", longest=MAX_KEYS) if given.has("keys") else {},
            smoke=given.whole("smoke"),
            rows=given.whole("rows"),
            latency=Latency.from_json(given.take("latency")),
        )


@dataclass(frozen=True, slots=True)
class Process:
    rss_bytes: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """One replica at one moment. `sequence` grows by one with each report of a boot."""

    replica: str
    release: str
    boot_id: str
    sequence: int
    at: float
    uptime: float
    counts: Counts
    in_flight: int
    ready: bool
    process: Process

    def to_json(self) -> dict[str, object]:
        return {
            "format": FORMAT,
            "replica": self.replica,
            "release": self.release,
            "boot_id": self.boot_id,
            "sequence": self.sequence,
            "at": self.at,
            "uptime": self.uptime,
            "in_flight": self.in_flight,
            "ready": self.ready,
            "process": {
                "rss_bytes": self.process.rss_bytes,
                "cpu_seconds": self.process.cpu_seconds,
            },
        } | self.counts.to_json()

    @classmethod
    def from_json(cls, raw: object) -> Report:
        """Strict; raises wire.errors.Unreadable: `report:invalid`, `report:unsupported-format`."""
        given = Fields(raw, kind="report", where="report")
        if given.take("format") not in _READ:
            raise Unreadable(
                "report:unsupported-format", f"Only reports of format {FORMAT} are read."
            )
        process = Fields(given.take("process"), kind="report", where="process")
        report = cls(
            replica=given.text("replica", longest=100),
            release=given.text("release", longest=100),
            boot_id=given.text("boot_id", longest=100),
            sequence=given.whole("sequence", low=1),
            at=given.number("at"),
            uptime=given.number("uptime"),
            counts=Counts._read(given),
            in_flight=given.whole("in_flight"),
            ready=given.flag("ready"),
            process=Process(process.whole("rss_bytes"), process.number("cpu_seconds")),
        )
        process.close()
        given.close()
        return report


@dataclass(frozen=True, slots=True)
class Interval:
    """What one boot of one replica did between two reports; `since` is 0.0 uptime for the first."""

    replica: str
    release: str
    boot_id: str
    started_at: float
    ended_at: float
    counts: Counts
    cpu_seconds: float


def difference(later: Report, earlier: Report | None) -> Interval:
    """What happened between two reports of one boot; with None, everything since the boot.

    Raises NotCumulative for `report:other-boot`, `report:not-later` (repeated or reordered pulls)
    and `report:not-cumulative`.
    """
    if earlier is None:
        return _interval(later, later.at - later.uptime, later.counts, later.process.cpu_seconds)
    if (later.replica, later.boot_id) != (earlier.replica, earlier.boot_id):
        raise NotCumulative(
            "report:other-boot", "The two reports are not of one boot of one replica."
        )
    if later.sequence <= earlier.sequence:
        raise NotCumulative("report:not-later", "The report is not newer than the one before.")
    cpu_seconds = max(0.0, later.process.cpu_seconds - earlier.process.cpu_seconds)
    return _interval(later, earlier.at, later.counts.minus(earlier.counts), cpu_seconds)


def _interval(later: Report, started_at: float, counts: Counts, cpu_seconds: float) -> Interval:
    return Interval(
        replica=later.replica,
        release=later.release,
        boot_id=later.boot_id,
        started_at=min(
            started_at, later.at
        ),  # a wall clock that was set back must not turn time around
        ended_at=later.at,
        counts=counts,
        cpu_seconds=cpu_seconds,
    )


def _added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in sorted({*one, *other})}


def _subtracted(later: Mapping[str, int], earlier: Mapping[str, int]) -> dict[str, int]:
    changed: dict[str, int] = {}
    for key in sorted({*later, *earlier}):
        left = later.get(key, 0) - earlier.get(key, 0)
        if left < 0:
            raise _shrunk(f"`{key}`")
        if left or key in OUTCOMES:
            changed[key] = left
    return changed


def _shrunk(what: str) -> NotCumulative:
    return NotCumulative(
        "report:not-cumulative", f"The later report counts fewer {what} than the earlier."
    )
