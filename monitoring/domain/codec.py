"""Counts as compact JSON for our own tables: what is zero is left out.

The tables hold only what this module wrote, so reading does not check what `wire` checks at the
border; sums stay whole nanoseconds, which a float of seconds would not keep.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitoring.domain.ledger import Entry
from wire.histogram import Histogram
from wire.report import OUTCOMES, Counts, Latency

_NAMES = ("total", "inference", "queue")


def pack_histogram(histogram: Histogram) -> list[Any]:
    return [
        histogram.scale,
        histogram.zero,
        histogram.offset,
        histogram.sum_ns,
        list(histogram.counts),
    ]


def unpack_histogram(packed: list[Any] | None) -> Histogram:
    if not packed:
        return Histogram()
    scale, zero, offset, sum_ns, counts = packed
    return Histogram(scale, zero, offset, tuple(counts), sum_ns)


def pack_latency(latency: Latency) -> dict[str, list[Any]]:
    named = ((name, getattr(latency, name)) for name in _NAMES)
    return {name: pack_histogram(h) for name, h in named if h != Histogram()}


def unpack_latency(packed: Mapping[str, Any]) -> Latency:
    return Latency(*(unpack_histogram(packed.get(name)) for name in _NAMES))


def pack_counts(counts: Counts) -> dict[str, Any]:
    packed = {
        "requests": {outcome: n for outcome, n in counts.requests.items() if n},
        "refused": dict(counts.refused),
        "keys": dict(counts.keys),
        "smoke": counts.smoke,
        "rows": counts.rows,
        "latency": pack_latency(counts.latency),
    }
    return {name: value for name, value in packed.items() if value}


def unpack_counts(packed: Mapping[str, Any]) -> Counts:
    return Counts(
        requests=dict.fromkeys(OUTCOMES, 0) | packed.get("requests", {}),
        refused=packed.get("refused", {}),
        keys=packed.get("keys", {}),
        smoke=packed.get("smoke", 0),
        rows=packed.get("rows", 0),
        latency=unpack_latency(packed.get("latency", {})),
    )


def pack_entry(entry: Entry) -> list[Any]:
    return [
        entry.replica,
        entry.release,
        entry.boot_id,
        entry.sequence,
        entry.since,
        entry.at,
        pack_counts(entry.gained),
    ]


def unpack_entry(packed: list[Any]) -> Entry:
    replica, release, boot_id, sequence, since, at, gained = packed
    return Entry(replica, release, boot_id, sequence, since, at, unpack_counts(gained))
