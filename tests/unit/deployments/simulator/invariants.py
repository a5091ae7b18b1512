"""What must never happen, checked against the outside itself and not against what was stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deployments.domain.fleet import ReplicaState
from deployments.domain.rollout import Outcome, Phase, Split, Status, loser
from deployments.domain.traffic import Share
from tests.unit.deployments.simulator.physics import Gateway, Outside
from tests.unit.deployments.simulator.rows import Database, ReplicaRow, RolloutRow


class Violation(AssertionError):
    """Something happened that must never happen."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise Violation(what)


@dataclass(slots=True)
class Watcher:
    """Follows the system and remembers what the invariants speak about.

    `excused`: releases of which an injected fault took the last serving process; nobody can keep
    traffic off those at once. `last_sent_by`: when a gateway last sent a release traffic. One that
    restarts has lost what was under way, one that a person removes is declared gone.
    """

    db: Database
    outside: Outside
    drain_seconds: float
    stable: str | None
    excused: set[str] = field(default_factory=set)
    last_sent_by: dict[tuple[str, str], float] = field(default_factory=dict)
    recently_hurt: dict[str, float] = field(default_factory=dict)

    def shares(self, gateway: Gateway) -> Mapping[str, Share]:
        return self.db.snapshots[gateway.applied].shares

    def hurt(self, releases: set[str]) -> None:
        for release in releases:
            self.recently_hurt[release] = self.outside.now
            if not self.outside.serving(release, self.db.replicas):
                self.excused.add(release)

    def tick(self) -> None:
        serving = {
            release for release in self.excused if self.outside.serving(release, self.db.replicas)
        }
        self.excused -= serving
        require(self.db.stable == self.stable, "the stable pointer is not at the last promoted")
        active = [row.id for row in self.db.rollouts.values() if row.status.phase.active]
        require(len(active) <= 1, f"several rollouts are active: {active}")
        for gateway in self.outside.gateways.values():
            if gateway.name in self.db.gateways and gateway.down_until <= self.outside.now:
                self._gateway(gateway)

    def _gateway(self, gateway: Gateway) -> None:
        snapshot = self.db.snapshots[gateway.applied]
        for release, share in snapshot.shares.items():
            self.last_sent_by[gateway.name, release] = self.outside.now
            traits = self.outside.traits[release]
            require(traits.may_serve or not share.percent, f"traffic to a bad release: {release}")
            answered = bool(self.outside.serving(release, self.db.replicas))
            nobody = not answered and release not in self.excused
            require(not (nobody and share.percent), f"traffic to nobody: {release}")
            require(release in snapshot.clusters, f"a route without its cluster: {release}")
        for (name, release), when in self.last_sent_by.items():
            draining = name == gateway.name and self.outside.now - when < self.drain_seconds
            gone = draining and release not in snapshot.clusters
            require(not gone, f"the cluster of {release} went before it drained")

    def about_to_stop(self, row: ReplicaRow) -> None:
        """The control plane decides to end this replica. Fine if it does not work anyway, if its
        release drained, or if enough others of it go on working."""
        release = row.release
        working = self.outside.serving(release, self.db.replicas)
        if row.id not in working:
            return
        sent = [when for (_, to), when in self.last_sent_by.items() if to == release]
        if self.outside.now - max(sent, default=-1e9) >= self.drain_seconds:
            return
        enough = 0 < self._wanted(release) < len(working)
        require(enough, f"{release} was stopped before it had drained")

    def gone(self, gateway: str) -> None:
        for name, release in list(self.last_sent_by):
            if name == gateway:
                del self.last_sent_by[name, release]

    def _wanted(self, release: str) -> int:
        counts = [self.db.stable_replicas] if self.db.stable == release else []
        for row in self.db.rollouts.values():
            if row.status.phase.active and row.spec.target == release:
                counts.append(row.spec.replicas)
            if row.status.phase is Phase.SETTLING and not row.status.released:
                target = row.status.outcome is not Outcome.PROMOTED
                if release == (row.spec.target if target else row.spec.stable):
                    return 0
        return max(counts, default=0)

    def committed(self, row: RolloutRow, was: Status, now: Status) -> None:
        """`row` is as it was in the database at that moment."""
        if now.outcome is Outcome.PROMOTED and was.outcome is not Outcome.PROMOTED:
            require(not row.spec.aborted, "an aborted rollout was promoted")
            self.stable = row.spec.target
        if was.phase is Phase.STEPPING and now.phase is Phase.STEPPING and now.step > was.step:
            self._all_gateways_do(row, was.split)
            require(not row.spec.paused, "a paused rollout went on")
        if was.phase is Phase.PROVISIONING and now.phase is Phase.STEPPING:
            self._proven(row)
        if now.split.target_percent > was.split.target_percent:
            self._proven(row)
            require(self.outside.now >= row.approved_at, "traffic moved without approval")
        if now.phase is Phase.DONE:
            self._let_go(row, was, now)

    def _let_go(self, row: RolloutRow, was: Status, now: Status) -> None:
        if now.outcome is Outcome.REVERTED:
            require(bool(now.reason and now.reason.message), "reverted, nobody knows why")
        losing = loser(row.spec, now)
        others = self.db.unfinished(row.id)
        shared = {release for spec, _ in others for release in (spec.target, spec.stable)}
        if was.phase is Phase.PENDING or losing in {None, self.db.stable, *shared}:
            return
        present = [each.id for each in self.db.replicas.values() if each.release == losing]
        require(not present, f"done before the loser's replicas were gone: {present}")
        for name in self.db.gateways:
            known = self.db.snapshots[self.outside.gateways[name].applied].clusters
            require(losing not in known, f"done before {name} forgot the loser")

    def _all_gateways_do(self, row: RolloutRow, split: Split) -> None:
        require(bool(self.db.gateways), "a step passed without any gateway")
        for name in self._configured():
            share = self.shares(self.outside.gateways[name]).get(row.spec.target, Share())
            does = Split(share.percent, share.mirror_percent)
            require(does == split, f"a step passed before {name} agreed")

    def _configured(self) -> set[str]:
        """One that registered after the look may be missing there; it sends nobody anywhere yet,
        and the next weight has to wait for it."""
        return {name for name in self.db.gateways if self.outside.gateways[name].applied}

    def _proven(self, row: RolloutRow) -> None:
        smoke = self.db.smokes.get(row.id)
        require(smoke is not None and smoke.passed, "stepped before the smoke inference passed")
        reached = self.db.reached.get(row.id, frozenset())
        require(self._configured() <= reached, "stepped before every gateway reached it")
        ready = len(self.outside.serving(row.spec.target, self.db.replicas))
        hurt = self.outside.now - self.recently_hurt.get(row.spec.target, -1e9) <= 10
        require(ready >= row.spec.replicas or hurt, "stepped before every replica was ready")

    def end(self) -> None:
        unfinished = [row for row in self.db.rollouts.values() if row.status.phase != Phase.DONE]
        require(not unfinished, f"never ended: {[row.status for row in unfinished]}")
        wanted = {self.stable: self.db.stable_replicas} if self.stable else {}
        found: dict[str, int] = {}
        for process in self.outside.processes.values():
            found[process.release] = found.get(process.release, 0) + 1
        require(found == wanted, f"left over: {found}, wanted {wanted}")
        rows = {row.state for row in self.db.replicas.values()}
        require(rows <= {ReplicaState.READY}, f"replica rows were left: {rows}")
        for name in self.db.gateways:
            snapshot = self.db.snapshots[self.outside.gateways[name].applied]
            shares = {self.stable: Share(100)} if self.stable else {}
            require(snapshot.shares == shares, f"{name} ends with {snapshot.shares}")
            require(snapshot.clusters == frozenset(wanted), f"{name} knows {snapshot.clusters}")
