"""What happened between two moments, per release, and how such stretches are merged.

Times are seconds since the epoch by the collector's clock. Merging adds counts up; nothing is ever
divided over time, because nobody knows when inside a stretch something happened.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from wire.report import Counts

SECOND = 1
MINUTE = 60


@dataclass(frozen=True, slots=True)
class Window:
    """All that the replicas of one release counted from `start` to `end`, whole seconds."""

    release: str
    start: int
    end: int
    counts: Counts

    @property
    def seconds(self) -> int:
        return self.end - self.start


def cell(start: int, end: int, width: int) -> tuple[int, int]:
    """Where a stretch belongs when windows are `width` seconds wide.

    The aligned cell that holds all of it; a stretch that crosses a boundary stays what it is,
    from–to, and becomes a window of its own.
    """
    low = start // width * width
    return (low, low + width) if end <= low + width else (start, end)


def gather(windows: Iterable[Window], width: int) -> list[Window]:
    """The same counts in windows of `width` seconds, one per release and cell, oldest first."""
    found: dict[tuple[str, int, int], Counts] = {}
    for window in windows:
        key = (window.release, *cell(window.start, window.end, width))
        so_far = found.get(key)
        found[key] = window.counts if so_far is None else so_far.merge(window.counts)
    merged = [Window(*key, counts) for key, counts in found.items()]
    return sorted(merged, key=lambda window: (window.end, window.start, window.release))


def second_of(moment: float) -> int:
    """The end of the second that a moment falls into: (k - 1, k] is second k."""
    return math.ceil(moment)
