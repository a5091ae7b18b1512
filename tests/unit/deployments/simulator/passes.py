"""The control plane's programs, one pass each. Every one may be killed at any line, may act on an
old read, and may do everything twice."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from deployments.domain.fleet import Crashes, Replica, ReplicaState
from deployments.domain.rollout import Phase, Status
from deployments.domain.traffic import Seen
from deployments.domain.world import (
    Effect,
    ReplicaCounts,
    ReplicaFailure,
    SmokeDirect,
    SmokeVerdict,
    World,
)
from tests.unit.deployments.simulator.engine import Engine
from tests.unit.deployments.simulator.invariants import Watcher
from tests.unit.deployments.simulator.physics import Outside
from tests.unit.deployments.simulator.rows import (
    Conflict,
    Database,
    GatewayRow,
    ReplicaRow,
    RolloutRow,
    Snapshot,
)

SILENCE_SECONDS = 4.0


class Killed(Exception):
    """The worker was ended here."""


@dataclass(slots=True)
class Passes:
    engine: Engine
    db: Database
    outside: Outside
    watcher: Watcher
    rng: random.Random
    kill: float = 0.0
    made: int = 0

    def maybe_killed(self) -> None:
        if self.kill and self.rng.random() < self.kill:
            raise Killed

    # --- the rollout loop -------------------------------------------------------------------

    def reconcile(self, rollout_id: int, seen: Database) -> None:
        row = seen.rollouts.get(rollout_id)
        if row is None:
            return
        spec = self.engine.rebase(row.spec, row.status, seen.stable, seen.stable_replicas)
        if spec is not row.spec:
            row = replace(row, spec=spec)
        decision = self.engine.decide(row.spec, row.status, self.observe(row, seen))
        for effect in decision.effects:
            self.maybe_killed()
            self.apply(effect, rollout_id)
            self.apply(effect, rollout_id)
        self.maybe_killed()
        if decision.status != row.status:
            self.commit(row, decision.status)

    def commit(self, row: RolloutRow, status: Status) -> None:
        """One transaction: the status, the endpoint's pointer and what follows from both."""
        current = self.db.rollouts[row.id]
        if "status" in self.engine.guarded:
            if current.revision != row.revision:
                raise Conflict
            leaves = row.status.phase is Phase.PENDING and status.phase is not Phase.PENDING
            if leaves and (row.spec.stable != self.db.stable or self._another_active(row.id)):
                raise Conflict
        self.watcher.committed(current, current.status, status)
        spec = replace(current.spec, stable=row.spec.stable)
        spec = replace(spec, stable_replicas=row.spec.stable_replicas)
        self.db.rollouts[row.id] = replace(
            current, spec=spec, status=status, revision=current.revision + 1
        )
        stable = self.engine.stable_after(row.spec, row.status, status, self.db.stable)
        if stable != self.db.stable:
            self.db.stable, self.db.stable_replicas = stable, row.spec.replicas
        self.db.revision += 1

    def _another_active(self, rollout_id: int) -> bool:
        rows = self.db.rollouts.values()
        return any(row.status.phase.active and row.id != rollout_id for row in rows)

    def observe(self, row: RolloutRow, seen: Database) -> World:
        spec, status = row.spec, row.status
        counts = {
            release: self.count(release, seen) for release in (spec.target, spec.stable) if release
        }
        hosts = {r.host for r in seen.replicas.values() if r.release in counts}
        failures = tuple(
            ReplicaFailure(f.release, f.replica, f.code, f"{f.replica} ended.", {"log": "…"})
            for f in seen.failures
            if f.release == spec.target and f.at >= status.started
        )
        reached = seen.reached.get(row.id, frozenset())
        gateways = [self._seen(each, seen, reached, row.id) for each in seen.gateways.values()]
        return World(
            now=seen.now,
            earlier_active=any(
                other.status.phase.active
                or (other.status.phase is Phase.PENDING and other.id < row.id)
                for other in seen.rollouts.values()
                if other.id != row.id
            ),
            approved=seen.now >= row.approved_at,
            replicas=counts,
            failures=failures,
            silent_hosts=frozenset(hosts & seen.silent_hosts),
            smoked=seen.smokes.get(row.id),
            gateways=self.engine.view(spec, status, gateways),
            verdicts={name: v for name, (at, v) in row.verdicts.items() if at <= seen.now},
            kept_elsewhere=self.engine.kept_elsewhere(seen.stable, seen.unfinished(row.id)),
        )

    def count(self, release: str, seen: Database) -> ReplicaCounts:
        rows = [row for row in seen.replicas.values() if row.release == release]
        if not self.engine.rows_of_silent_hosts:
            rows = [row for row in rows if row.host not in seen.silent_hosts]
        states = [row.state for row in rows]
        ready, failed = states.count(ReplicaState.READY), states.count(ReplicaState.FAILED)
        return ReplicaCounts(len(rows), ready, failed)

    def _seen(
        self, gateway: GatewayRow, seen: Database, reached: frozenset[str], rollout_id: int
    ) -> Seen:
        acked = None if gateway.acked is None else seen.snapshots[gateway.acked]
        later = seen.snapshots[0 if gateway.acked is None else gateway.acked + 1 :]
        newest = len(seen.snapshots) - 1
        return Seen(
            gateway.name,
            routes=acked.shares if acked else None,
            later_routes=[each.shares for each in later],
            clusters=acked.clusters if acked else None,
            later_clusters=[each.clusters for each in later],
            acked_at=gateway.acked_at,
            silent=seen.now - gateway.polled_at > SILENCE_SECONDS,
            reached=gateway.name in reached,
            reach_failed=seen.unreached.get(rollout_id),
            rejected={"generation": newest} if gateway.rejected == newest else None,
        )

    def apply(self, effect: Effect, rollout_id: int) -> None:
        release = effect.release
        works = bool(self.outside.serving(release, self.db.replicas))
        traits = self.outside.traits[release]
        if isinstance(effect, SmokeDirect):
            if works:
                passed = not traits.bad_answers
                self.db.smokes[rollout_id] = SmokeVerdict(passed, {"answer": "…"})
            return
        for name in self.db.gateways:
            gateway = self.outside.gateways[name]
            known = release in self.db.snapshots[gateway.applied].clusters
            if known and works and not traits.unreachable and gateway.down_until <= self.db.now:
                before = self.db.reached.get(rollout_id, frozenset())
                self.db.reached[rollout_id] = before | {name}
            else:
                self.db.unreached[rollout_id] = {"gateway": name, "status": 503}

    # --- the others -------------------------------------------------------------------------

    def fleet(self, seen: Database) -> None:
        needed = self.engine.needs(seen.stable, seen.stable_replicas, seen.unfinished())
        present = [Replica(r.id, r.release, r.slot, r.state) for r in seen.replicas.values()]
        crashes: dict[str, Crashes] = {}
        for failure in seen.failures:
            if failure.at >= seen.now - 60:
                count = crashes[failure.release].count if failure.release in crashes else 0
                crashes[failure.release] = Crashes(count + 1, failure.at)
        changes = self.engine.changes(needed, present, seen.now, crashes)
        if not (changes.start or changes.stop):
            return
        self.maybe_killed()
        if "replicas" in self.engine.guarded and self.db.revision != seen.revision:
            raise Conflict
        hosts = [host for host in ("north", "south") if host not in seen.silent_hosts]
        taken = {
            (row.release, row.slot)
            for row in self.db.replicas.values()
            if row.state is not ReplicaState.FAILED
        }
        for start in changes.start:
            if hosts and (start.release, start.slot) not in taken:
                self.made += 1
                name = f"{start.release}-{self.made}"
                host = self.rng.choice(hosts)
                self.db.replicas[name] = ReplicaRow(name, start.release, start.slot, host)
        for stop in changes.stop:
            if stop.replica in self.db.replicas:
                row = self.db.replicas[stop.replica]
                self.watcher.about_to_stop(row)
                self.db.replicas[row.id] = replace(row, state=ReplicaState.STOPPING)
        self.db.revision += 1

    def run_replicas(self, seen: Database) -> None:
        """Make the processes be what the rows say. With an old read this can start one too many,
        which the sweep finds."""
        for row in list(seen.replicas.values()):
            self.maybe_killed()
            if not self.outside.answers(row.host):
                continue
            if row.state is ReplicaState.STARTING:
                self.outside.start(row)
            elif row.state is ReplicaState.STOPPING:
                self.outside.processes.pop(row.id, None)
                self.maybe_killed()
                self.db.replicas.pop(row.id, None)

    def sweep(self) -> None:
        for name, process in list(self.outside.processes.items()):
            if name not in self.db.replicas and self.outside.answers(process.host):
                del self.outside.processes[name]

    def publish(self, seen: Database) -> None:
        """Derive what the gateways should do. Monotonic: an old read publishes nothing."""
        traffic = self.engine.combine(seen.stable, seen.unfinished())
        self.maybe_killed()
        if "snapshots" in self.engine.guarded and self.db.revision != seen.revision:
            raise Conflict
        fresh = Snapshot(traffic.shares, traffic.exposed)
        if fresh != self.db.snapshots[-1]:
            self.db.snapshots = (*self.db.snapshots, fresh)
