"""Counters and latency histograms since boot. Passed in; used from the event loop only."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping

from modelserver.dataplane import Took
from modelserver.memory import resident_bytes
from wire.histogram import Recorder
from wire.report import MAX_CODES, MAX_KEYS, OUTCOMES, Counts, Latency, Process, Report

Clock = Callable[[], float]
Key = str | bytes
_OTHER = "other"
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Telemetry:
    """What this boot has done so far.

    Every counted request enters `requests` and the total latency exactly once, whatever its end.
    Smoke inferences are counted apart: they are the control plane's, not the users'.
    """

    def __init__(
        self,
        *,
        replica: str,
        release: str,
        boot_id: str,
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
    ) -> None:
        self._replica = replica
        self._release = release
        self._boot_id = boot_id
        self._clock = clock
        self._wall = wall
        self._booted = clock()
        self._sequence = 0
        self._requests = dict.fromkeys(OUTCOMES, 0)
        self._refused: dict[str, int] = {}
        self._keys: dict[Key, int] = {}
        self._smoke = 0
        self._rows = 0
        self._total = Recorder()
        self._inference = Recorder()
        self._queue = Recorder()
        self.in_flight = 0

    def answered(
        self, outcome: str, seconds: float, *, code: str | None = None, key: Key | None = None
    ) -> None:
        """One request ended; `outcome` is one of wire.report.OUTCOMES, `code` a refusal's, `key`
        the endpoint key that the gateway has let in with it."""
        self._requests[outcome] += 1
        self._total.record(seconds)
        if key is not None:
            self._used(key)
        if code is not None:
            if code not in self._refused and len(self._refused) >= MAX_CODES - 1:
                code = _OTHER
            self._refused[code] = self._refused.get(code, 0) + 1

    def served(self, took: Took, seconds: float, key: Key | None) -> None:
        """`inferred` and `answered` in one, for the path that most requests take."""
        self._requests["2xx"] += 1
        self._rows += took.rows
        self._total.record(seconds)
        self._inference.record(took.run_seconds)
        self._queue.record(took.queue_seconds)
        if key is not None:
            self._used(key)

    def inferred(self, took: Took) -> None:
        """One inference ran to its end for a counted request."""
        self._rows += took.rows
        self._inference.record(took.run_seconds)
        self._queue.record(took.queue_seconds)

    def smoked(self) -> None:
        self._smoke += 1

    def _used(self, key: Key) -> None:
        keys = self._keys
        if key in keys:
            keys[key] += 1
            return
        name = key.decode("latin-1") if isinstance(key, bytes) else key
        if len(keys) >= MAX_KEYS - 1 or not _KEY.fullmatch(name):
            key = _OTHER
        keys[key] = keys.get(key, 0) + 1

    def report(self, *, ready: bool) -> Report:
        """The next report: cumulative, with a sequence number of its own."""
        self._sequence += 1
        latency = Latency(
            self._total.snapshot(), self._inference.snapshot(), self._queue.snapshot()
        )
        return Report(
            replica=self._replica,
            release=self._release,
            boot_id=self._boot_id,
            sequence=self._sequence,
            at=self._wall(),
            uptime=self._clock() - self._booted,
            counts=Counts(
                dict(self._requests),
                dict(self._refused),
                self._smoke,
                self._rows,
                latency,
                _named(self._keys),
            ),
            in_flight=self.in_flight,
            ready=ready,
            process=Process(rss_bytes=resident_bytes(), cpu_seconds=time.process_time()),
        )


def _named(keys: Mapping[Key, int]) -> dict[str, int]:
    """HTTP gives them as bytes, gRPC as text; both may be of one key."""
    named: dict[str, int] = {}
    for key, count in keys.items():
        name = key.decode("latin-1") if isinstance(key, bytes) else key
        named[name] = named.get(name, 0) + count
    return named
