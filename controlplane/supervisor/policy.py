"""When a program that died comes back, and when one that hangs is ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Backoff:
    """The wait before each further start: doubling, bounded, forgotten after a calm while."""

    first: float = 0.2
    cap: float = 10.0
    calm_after: float = 20.0

    def delay(self, failures: int) -> float:
        if failures <= 0:
            return 0.0
        return min(self.cap, self.first * 2.0 ** min(failures - 1, 30))


@dataclass(frozen=True, slots=True)
class History:
    """What is known of one program: how often it died in a row, and when it may start again."""

    started_at: float = 0.0
    died_at: float = 0.0
    failures: int = 0
    restarts: int = 0
    start_due: float | None = None

    def started(self, now: float) -> History:
        return replace(self, started_at=now, start_due=None)

    def died(self, now: float, backoff: Backoff) -> History:
        calm = now - self.started_at >= backoff.calm_after
        failures = 1 if calm else self.failures + 1
        return replace(
            self,
            died_at=now,
            failures=failures,
            restarts=self.restarts + 1,
            start_due=now + backoff.delay(failures),
        )

    def may_start(self, now: float) -> bool:
        return self.start_due is not None and now >= self.start_due


@dataclass(frozen=True, slots=True)
class Liveness:
    """Ends a program that runs and answers nothing.

    A slow start is not a hang: nothing is concluded before it has answered once, or before
    `start_grace` is over.
    """

    silent_for: float = 30.0
    start_grace: float = 60.0

    def hangs(self, *, now: float, started_at: float, answered_at: float | None) -> bool:
        if answered_at is None or answered_at < started_at:
            return now - started_at > self.start_grace
        return now - answered_at > self.silent_for


def log_is_full(size: int, cap: int) -> bool:
    return size >= cap
