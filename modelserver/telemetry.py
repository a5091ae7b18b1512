"""Counters and latency histograms since boot. Passed in; used from the event loop only."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from modelserver.dataplane import Took
from wire.histogram import Recorder
from wire.report import MAX_CODES, OUTCOMES, Counts, Latency, Process, Report

Clock = Callable[[], float]
_OTHER = "other"


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
        self._smoke = 0
        self._rows = 0
        self._total = Recorder()
        self._inference = Recorder()
        self._queue = Recorder()
        self.in_flight = 0

    def answered(self, outcome: str, seconds: float, *, code: str | None = None) -> None:
        """One request ended; `outcome` is one of wire.report.OUTCOMES, `code` a refusal's."""
        self._requests[outcome] += 1
        self._total.record(seconds)
        if code is not None:
            if code not in self._refused and len(self._refused) >= MAX_CODES - 1:
                code = _OTHER
            self._refused[code] = self._refused.get(code, 0) + 1

    def inferred(self, took: Took) -> None:
        """One inference ran to its end for a counted request."""
        self._rows += took.rows
        self._inference.record(took.run_seconds)
        self._queue.record(took.queue_seconds)

    def smoked(self) -> None:
        self._smoke += 1

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
                dict(self._requests), dict(self._refused), self._smoke, self._rows, latency
            ),
            in_flight=self.in_flight,
            ready=ready,
            process=Process(rss_bytes=_resident_bytes(), cpu_seconds=time.process_time()),
        )


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):  # not Linux
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
