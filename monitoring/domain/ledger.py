"""Counting exactly once what replicas report over and over.

A report is cumulative since its boot. For each (replica, boot) the ledger keeps a *mark*: up to
where it has counted. A newer report moves the mark and what lies between becomes an *entry*; a
repeated or an overtaken report moves nothing. Entries add up to one window per release and second,
and those to one window per release and minute.

What must be stored, and in which transaction, is what `close` returns, in order:

- a `Second`: its windows, and its entries as a journal;
- a `Checkpoint`: the minute's windows and the marks, after which the journal before it is void.

Marks are larger than entries and are therefore written once a minute, not once a second. After a
death the marks and the journal behind them give back exactly what was stored (`settle`), and the
first report after it yields one interval from the last stored moment to now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from monitoring.domain.windows import MINUTE, SECOND, Window, cell, gather, second_of
from wire.errors import NotCumulative
from wire.report import Counts, Report

# An interval up to this long is one ordinary pull, a little early or late; a longer one is a gap.
REGULAR_SECONDS = 1.5

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Mark:
    """Up to here one boot of one replica has been counted."""

    replica: str
    release: str
    boot_id: str
    sequence: int
    at: float
    counts: Counts

    @property
    def key(self) -> Key:
        return (self.replica, self.boot_id)


@dataclass(frozen=True, slots=True)
class Entry:
    """What one boot of one replica counted from `since` to `at`; it moves the mark to there."""

    replica: str
    release: str
    boot_id: str
    sequence: int
    since: float
    at: float
    gained: Counts

    @property
    def key(self) -> Key:
        return (self.replica, self.boot_id)

    def window(self) -> Window:
        end = second_of(self.at)
        if self.at - self.since <= REGULAR_SECONDS:
            start = end - SECOND
        else:
            start = min(second_of(self.since), end - SECOND)
        return Window(self.release, start, end, self.gained)


@dataclass(frozen=True, slots=True)
class Second:
    """One closed second. Store windows and entries together."""

    end: int
    windows: tuple[Window, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Windows of a minute, and the marks that moved. Store them together, void the journal."""

    windows: tuple[Window, ...]
    marks: tuple[Mark, ...]


Closed = Second | Checkpoint


class Ledger:
    """One collector's count. Not thread-safe; knows no clock: callers say when."""

    def __init__(self, marks: Iterable[Mark] = ()) -> None:
        self._marks = {mark.key: mark for mark in marks}
        self._inbox: list[tuple[float, Report]] = []
        self._latest = 0.0
        self._minute: list[Window] = []
        self._minute_end = 0
        self._moved: set[Key] = set()
        self.contradictions = 0

    @property
    def waiting(self) -> int:
        """Reports received and not yet closed."""
        return len(self._inbox)

    def receive(self, report: Report, at: float) -> None:
        """Take a report that arrived at `at`. Time that runs backwards is held still."""
        self._latest = max(self._latest, at)
        self._inbox.append((self._latest, report))

    def compact(self) -> None:
        """Keep only the newest waiting report of each boot: storing is stuck, memory is not
        endless, and cumulative reports lose nothing but resolution."""
        newest: dict[Key, tuple[float, Report]] = {}
        for at, report in self._inbox:
            key = (report.replica, report.boot_id)
            if key not in newest or newest[key][1].sequence < report.sequence:
                newest[key] = (at, report)
        self._inbox = sorted(newest.values(), key=lambda item: item[0])

    def close(self, until: float) -> list[Closed]:
        """Close every whole second up to `until`, and every minute that is complete with it."""
        last = int(until // SECOND)
        closed: list[Closed] = []
        seconds: dict[int, list[tuple[float, Report]]] = {}
        waiting: list[tuple[float, Report]] = []
        for at, report in self._inbox:
            end = second_of(at)
            if end <= last:
                seconds.setdefault(end, []).append((at, report))
            else:
                waiting.append((at, report))
        self._inbox = waiting
        for end in sorted(seconds):
            closed += self._checkpoint_before(end)
            entries = [entry for at, report in seconds[end] if (entry := self._entry(report, at))]
            closed.append(self._second(end, entries))
        if self._minute_end and last >= self._minute_end:
            closed += self.checkpoint()
        return closed

    def checkpoint(self) -> list[Closed]:
        """Close the open minute as it is. Empty when nothing happened since the last one."""
        if not self._moved and not self._minute:
            return []
        windows = tuple(gather(self._minute, MINUTE))
        marks = tuple(self._marks[key] for key in sorted(self._moved))
        self._minute, self._minute_end, self._moved = [], 0, set()
        return [Checkpoint(windows, marks)]

    def forget(self, keep: Collection[str], before: float) -> None:
        """Drop marks older than `before` of replicas that are not in `keep`: they have ended.

        What they counted in the open minute stays in it.
        """
        gone = {key for key, mark in self._marks.items() if mark.at < before and key[0] not in keep}
        self._moved -= gone
        for key in gone:
            del self._marks[key]

    def apply(self, entry: Entry) -> bool:
        """Count one journal entry, once."""
        mark = self._marks.get(entry.key)
        if mark is not None and entry.sequence <= mark.sequence:
            return False
        before = mark.counts if mark is not None else Counts()
        self._move(entry, before.merge(entry.gained))
        self._minute.append(entry.window())
        return True

    def _checkpoint_before(self, end: int) -> list[Closed]:
        minute_end = cell(end - SECOND, end, MINUTE)[1]
        closed = self.checkpoint() if self._minute_end and minute_end > self._minute_end else []
        self._minute_end = max(self._minute_end, minute_end)
        return closed

    def _second(self, end: int, entries: Sequence[Entry]) -> Second:
        windows = gather((entry.window() for entry in entries), SECOND)
        self._minute += windows
        return Second(end, tuple(windows), tuple(entries))

    def _entry(self, report: Report, at: float) -> Entry | None:
        mark = self._marks.get((report.replica, report.boot_id))
        if mark is not None and report.sequence <= mark.sequence:
            return None
        try:
            gained = report.counts.minus(mark.counts) if mark is not None else report.counts
        except NotCumulative:
            # A later report that counts less is a fault of the replica: believe neither it nor,
            # by moving the mark, the next one.
            self.contradictions += 1
            return None
        since = mark.at if mark is not None else at - report.uptime
        entry = Entry(
            report.replica,
            report.release,
            report.boot_id,
            report.sequence,
            max(0.0, min(since, at)),
            at,
            gained,
        )
        self._move(entry, report.counts)
        return entry

    def _move(self, entry: Entry, counts: Counts) -> None:
        self._marks[entry.key] = Mark(
            entry.replica, entry.release, entry.boot_id, entry.sequence, entry.at, counts
        )
        self._moved.add(entry.key)


def settle(marks: Iterable[Mark], journal: Iterable[Entry]) -> list[Closed]:
    """What a dead collector had stored and not yet checkpointed, as one checkpoint.

    Idempotent: entries at or before their mark count nothing.
    """
    ledger = Ledger(marks)
    for entry in journal:
        ledger.apply(entry)
    return ledger.checkpoint()
