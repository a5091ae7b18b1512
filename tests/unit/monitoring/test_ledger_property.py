"""Repeats, drops, reorders, restarts and dying collectors, in any order: the totals are right."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.domain.codec import pack_counts, pack_entry, unpack_counts, unpack_entry
from monitoring.domain.ledger import Closed, Ledger, Mark, Second, settle
from monitoring.domain.shards import Shard
from tests.fakes.counting_replica import CountingReplica
from wire.report import Counts, Report

REPLICAS = ("rep_A", "rep_B", "rep_C")


@dataclass
class Storage:
    """What a database keeps when each list of `Closed` is one transaction."""

    marks: dict[tuple[str, str], Mark] = field(default_factory=dict)
    journals: dict[str, list] = field(default_factory=dict)
    minutes: Counts = field(default_factory=Counts)
    seconds: Counts = field(default_factory=Counts)

    def commit(self, shard: Shard, closed: list[Closed]) -> None:
        journal = self.journals.setdefault(str(shard), [])
        for each in closed:
            if isinstance(each, Second):
                journal += [pack_entry(entry) for entry in each.entries]
                for window in each.windows:
                    self.seconds = self.seconds.merge(window.counts)
            else:
                journal.clear()
                for window in each.windows:
                    self.minutes = self.minutes.merge(unpack_counts(pack_counts(window.counts)))
                self.marks |= {mark.key: mark for mark in each.marks}

    def start(self, shard: Shard) -> Ledger:
        """As a collector does: settle what dead ones left, then take the marks of one's own."""
        for name, journal in list(self.journals.items()):
            if name == str(shard) or Shard.parse(name).of != shard.of:
                entries = [unpack_entry(packed) for packed in journal]
                self.commit(Shard.parse(name), settle(self.marks.values(), entries))
        return Ledger(mark for mark in self.marks.values() if shard.holds(mark.replica))


class Play:
    """A fleet, its collectors and their storage, driven step by step."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.fleet = {name: CountingReplica(name, f"rel_{name[-1]}") for name in REPLICAS}
        self.late: list[Report] = []
        self.storage = Storage()
        self.received: list[tuple[float, Report]] = []
        self.stored: dict[tuple[str, str], Report] = {}
        self.of = 1
        self.ledgers = [self.storage.start(Shard(0, 1))]

    def serve(self, name: str, ok: int, failed: int) -> None:
        self.fleet[name].serve(ok, failed=failed, seconds=0.001 * (1 + ok))

    def pull(self, name: str) -> None:
        self._arrive(self.fleet[name].report(self.now))

    def drop(self, name: str) -> None:
        self.fleet[name].report(self.now)

    def delay(self, name: str) -> None:
        self.late.append(self.fleet[name].report(self.now))

    def arrive_late(self, which: int, times: int) -> None:
        if self.late:
            report = self.late[which % len(self.late)]
            for _ in range(times):
                self._arrive(report)

    def restart(self, name: str) -> None:
        self.fleet[name].restart(self.now)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def close(self) -> None:
        for index, ledger in enumerate(self.ledgers):
            self.storage.commit(Shard(index, self.of), ledger.close(self.now))
        whole = math.floor(self.now)
        for at, report in self.received:
            if math.ceil(at) <= whole:
                self.stored = newer(self.stored, report)
        self.received = [item for item in self.received if math.ceil(item[0]) > whole]

    def compact(self) -> None:
        for ledger in self.ledgers:
            ledger.compact()
        newest: dict[tuple[str, str], tuple[float, Report]] = {}
        for at, report in self.received:
            key = (report.replica, report.boot_id)
            if key not in newest or newest[key][1].sequence < report.sequence:
                newest[key] = (at, report)
        self.received = list(newest.values())

    def die(self, of: int) -> None:
        """Every collector is killed; `of` new ones start. What was only in memory is gone."""
        self.of = of
        self.received = []
        self.ledgers = []
        for index in range(of):
            self.ledgers.append(self.storage.start(Shard(index, of)))

    def finish(self) -> None:
        for name in REPLICAS:
            self.pull(name)
        self.now += 2
        self.close()
        for index, ledger in enumerate(self.ledgers):
            self.storage.commit(Shard(index, self.of), ledger.checkpoint())

    def truth(self) -> Counts:
        """The last stored report of each boot says all that it ever counted up to then."""
        total = Counts()
        for report in self.stored.values():
            total = total.merge(report.counts)
        return total

    def _arrive(self, report: Report) -> None:
        self.received.append((self.now, report))
        for index, ledger in enumerate(self.ledgers):
            if Shard(index, self.of).holds(report.replica):
                ledger.receive(report, self.now)


def newer(known: dict[tuple[str, str], Report], report: Report) -> dict[tuple[str, str], Report]:
    key = (report.replica, report.boot_id)
    if key in known and known[key].sequence >= report.sequence:
        return known
    return known | {key: report}


names = st.sampled_from(REPLICAS)
steps = st.one_of(
    st.tuples(st.just("serve"), names, st.integers(0, 5), st.integers(0, 2)),
    st.tuples(st.just("pull"), names),
    st.tuples(st.just("pull"), names),
    st.tuples(st.just("drop"), names),
    st.tuples(st.just("delay"), names),
    st.tuples(st.just("arrive_late"), st.integers(0, 9), st.integers(1, 2)),
    st.tuples(st.just("restart"), names),
    st.tuples(st.just("pass_time"), st.sampled_from([0.1, 0.4, 1.0, 1.3, 7.0, 61.0])),
    st.tuples(st.just("close")),
    st.tuples(st.just("compact")),
    st.tuples(st.just("die"), st.integers(1, 3)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=60))
def test_totals_are_what_the_replicas_had_reported(story):
    play = Play()
    for step, *arguments in story:
        getattr(play, step)(*arguments)
    play.finish()

    truth = play.truth()
    for counted in (play.storage.minutes, play.storage.seconds):
        assert counted.requests == truth.requests
        assert counted.rows == truth.rows
        assert counted.latency.total.count == truth.latency.total.count
        assert counted.latency.total.sum_ns == truth.latency.total.sum_ns


@given(st.lists(st.tuples(names, st.integers(0, 9)), max_size=20))
def test_every_live_replica_is_counted_to_its_last_request(served):
    play = Play()
    for name, ok in served:
        play.serve(name, ok, 0)
        play.pull(name)
        play.pass_time(1.0)
        play.close()
        play.die(of=1)
    play.finish()

    assert play.storage.minutes.requests["2xx"] == sum(ok for _, ok in served)
