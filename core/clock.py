"""The only place that asks what time it is, so that a test can answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

_sources: list[Callable[[], datetime]] = [lambda: datetime.now(UTC)]


def now() -> datetime:
    """The current moment, always aware and in UTC."""
    return _sources[-1]()


def timestamp() -> float:
    """Seconds since the epoch, from the same source as `now`."""
    return now().timestamp()


@contextmanager
def at(source: Callable[[], datetime]) -> Iterator[None]:
    """Take the time from `source` inside the block. For tests; not safe across threads."""
    _sources.append(source)
    try:
        yield
    finally:
        _sources.pop()
