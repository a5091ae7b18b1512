"""The outside: processes on hosts, gateways that take over snapshots in their own time, faults."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from deployments.domain.fleet import ReplicaState
from deployments.domain.rollout import ReasonCode
from tests.unit.deployments.simulator.rows import Database, FailureRow, GatewayRow, ReplicaRow

HOSTS = ("north", "south")


@dataclass(frozen=True, slots=True)
class Traits:
    """What is wrong with a release. The first one, which is stable at the start, has nothing."""

    load_fails: bool = False
    flaky: bool = False
    bad_answers: bool = False
    unreachable: bool = False
    rejected: bool = False

    @property
    def may_serve(self) -> bool:
        return not (self.load_fails or self.bad_answers or self.unreachable or self.rejected)


@dataclass(slots=True)
class Process:
    release: str
    host: str
    ready_at: float
    started: float
    died_of: ReasonCode | None = None


@dataclass(slots=True)
class Gateway:
    """`applied` is what it really does, whatever it has said. A restart begins from its disk."""

    name: str
    applied: int = 0
    on_disk: int = 0
    down_until: float = 0.0
    mute_until: float = 0.0
    slowness: float = 0.5


@dataclass(slots=True)
class Outside:
    rng: random.Random
    traits: dict[str, Traits] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)
    gateways: dict[str, Gateway] = field(default_factory=dict)
    silent_until: dict[str, float] = field(default_factory=dict)
    now: float = 0.0

    def answers(self, host: str) -> bool:
        return self.silent_until.get(host, 0.0) <= self.now

    def start(self, row: ReplicaRow) -> None:
        """Named by the row's id, so a second call changes nothing."""
        if row.id not in self.processes:
            ready_at = self.now + self.rng.choice((0, 1, 3))
            self.processes[row.id] = Process(row.release, row.host, ready_at, self.now)

    def serving(self, release: str, rows: dict[str, ReplicaRow]) -> list[str]:
        """Processes that would answer now. The gateways know those alone whose row is ready."""
        return [
            name
            for name, process in self.processes.items()
            if process.release == release
            and process.died_of is None
            and process.ready_at <= self.now
            and name in rows
            and rows[name].state is ReplicaState.READY
        ]

    def live(self, faults: float) -> set[str]:
        """One second passes. Returns the releases that an injected fault took a process from."""
        hurt = set()
        for process in self.processes.values():
            if process.died_of is not None:
                continue
            traits = self.traits[process.release]
            if traits.load_fails and process.ready_at <= self.now:
                process.died_of = ReasonCode.MODEL_LOAD_FAILED
            elif self.rng.random() < faults * (12 if traits.flaky else 1):
                process.died_of = ReasonCode.REPLICA_CRASHED
                hurt.add(process.release)
        return hurt

    def poll(self, gateway: Gateway, db: Database) -> None:
        """One poll: it says what it runs, then takes over the newest snapshot or refuses it.

        What it takes over now it acknowledges with its next poll only.
        """
        if gateway.down_until > self.now or gateway.mute_until > self.now:
            return
        row = db.gateways.get(gateway.name)
        if row is None:
            return
        newest = len(db.snapshots) - 1
        row = GatewayRow(row.name, row.acked, row.acked_at, row.rejected, self.now)
        if row.acked != gateway.applied:
            rejected = row.rejected if row.rejected == newest else None
            row = replace(row, acked=gateway.applied, acked_at=self.now, rejected=rejected)
            gateway.on_disk = gateway.applied
        if gateway.applied < newest and self.rng.random() < gateway.slowness:
            bad = any(self.traits[each].rejected for each in db.snapshots[newest].clusters)
            if bad:
                row = replace(row, rejected=newest)
            else:
                gateway.applied = newest
        db.gateways[gateway.name] = row

    def restart(self, gateway: Gateway, db: Database, seconds: float) -> None:
        gateway.down_until = self.now + seconds
        gateway.applied = gateway.on_disk
        row = db.gateways.get(gateway.name)
        if row is not None and self.rng.random() < 0.5:
            db.gateways[gateway.name] = GatewayRow(gateway.name, None, 0.0, None, row.polled_at)

    def collect(self, db: Database) -> None:
        """What the collector writes down about replicas on hosts that answer."""
        for row in list(db.replicas.values()):
            if not self.answers(row.host) or row.state is ReplicaState.STOPPING:
                continue
            process = self.processes.get(row.id)
            if process is None or process.died_of is not None:
                if process is None and row.state is ReplicaState.STARTING:
                    continue
                if row.state is not ReplicaState.FAILED:
                    code = process.died_of if process else None
                    code = code or ReasonCode.REPLICA_CRASHED
                    failure = FailureRow(row.release, row.id, code, self.now)
                    db.failures = (*db.failures, failure)
                    db.replicas[row.id] = replace(row, state=ReplicaState.FAILED)
                    db.revision += 1
            elif process.ready_at <= self.now and row.state is ReplicaState.STARTING:
                db.replicas[row.id] = replace(row, state=ReplicaState.READY)
