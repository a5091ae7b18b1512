"""One run: people, faults and the control plane's programs, in an order that a seed decides."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace

from deployments.domain.plan import BlueGreen, Canary, Shadow, Strategy, compile_steps
from deployments.domain.rollout import Phase, ReasonCode, Spec, Status, loser
from deployments.domain.world import Verdict
from tests.unit.deployments.simulator.engine import Engine
from tests.unit.deployments.simulator.invariants import Violation, Watcher
from tests.unit.deployments.simulator.passes import Killed, Passes
from tests.unit.deployments.simulator.physics import HOSTS, Gateway, Outside, Traits
from tests.unit.deployments.simulator.rows import Conflict, Database, GatewayRow, RolloutRow

STORM_SECONDS = 70
PATIENCE_SECONDS = 400
DRAIN_SECONDS = (3.0, 8.0, 25.0)

STRATEGIES: tuple[Strategy, ...] = (
    BlueGreen(1),
    BlueGreen(6),
    BlueGreen(2, pause_before_switch=True),
    Canary((10, 50, 100), (1,)),
    Canary((20, 100), (None, 2), checks=("errors",)),
    Shadow(100, 3),
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How the rollouts of one run ended: "promoted", "reverted:aborted" …"""

    seed: int
    outcomes: Counter[str]
    overlapped: bool
    ticks: int


def run(seed: int, engine: Engine | None = None) -> Ending:
    """Raises Violation, with the seed in it, when something happened that must not."""
    story = Story(seed, engine or Engine())
    try:
        return story.tell()
    except Violation as problem:
        raise Violation(f"seed {seed}, second {story.db.now:g}: {problem}") from None


class Story:
    def __init__(self, seed: int, engine: Engine) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.db = Database()
        self.outside = Outside(self.rng)
        self.old = self.db.read()
        self.overlapped = False
        self.rereads = self.rng.choice((0.3, 0.1, 0.03))
        self.faults = self.rng.choice((0.0, 0.002, 0.008))
        first = self.rng.choice(("v1", "v1", "v1", None))
        self.outside.traits["v1"] = Traits()
        if first:
            self.db.stable, self.db.stable_replicas = first, self.rng.choice((1, 2, 3))
        self.drain_seconds = self.rng.choice(DRAIN_SECONDS)
        self.watcher = Watcher(self.db, self.outside, self.drain_seconds, first)
        self.passes = Passes(engine, self.db, self.outside, self.watcher, self.rng)
        for number in range(self.rng.choice((1, 2, 3))):
            self.add_gateway(f"gateway-{number}")
        self.warm_up()

    def tell(self) -> Ending:
        self.passes.kill = self.rng.choice((0.0, 0.1, 0.3))
        for _ in range(STORM_SECONDS):
            self.people()
            self.trouble()
            self.second(stale=0.2)
        self.passes.kill = 0.0
        self.calm()
        for tick in range(PATIENCE_SECONDS):
            self.kind_people()
            self.second(stale=0.1)
            if tick > 10 and self.quiet():
                break
        for _ in range(15):
            self.second(stale=0.0)
        self.watcher.end()
        return Ending(self.seed, self.outcomes(), self.overlapped, int(self.db.now))

    # --- time -------------------------------------------------------------------------------

    def warm_up(self) -> None:
        for _ in range(12):
            self.advance()
            self.passes.publish(self.db)
            self.passes.fleet(self.db)
            self.passes.run_replicas(self.db.read())

    def advance(self) -> None:
        self.db.now = self.outside.now = self.db.now + 1
        for gateway in self.outside.gateways.values():
            self.outside.poll(gateway, self.db)
        self.outside.collect(self.db)

    def second(self, stale: float) -> None:
        self.advance()
        silent = {host for host in HOSTS if not self.outside.answers(host)}
        self.db.silent_hosts = frozenset(silent)
        self.watcher.hurt(self.outside.live(self.faults if stale else 0.0))
        self.watcher.tick()
        if self.rng.random() < self.rereads:
            self.old = self.db.read()
        due = [row.id for row in self.db.rollouts.values() if row.status.phase != Phase.DONE]
        settling = [1 for i in due if self.db.rollouts[i].status.phase is Phase.SETTLING]
        self.overlapped = self.overlapped or (bool(settling) and len(due) > 1)
        work: list[int | str] = [*due, *due, "fleet", "publish", "replicas", "sweep"]
        self.rng.shuffle(work)
        for item in work:
            if self.rng.random() < 0.8:
                self.one_pass(item, self.old if self.rng.random() < stale else self.db)

    def one_pass(self, item: int | str, seen: Database) -> None:
        try:
            match item:
                case int():
                    self.passes.reconcile(item, seen)
                case "fleet":
                    self.passes.fleet(seen)
                case "publish":
                    self.passes.publish(seen)
                case "replicas":
                    self.passes.run_replicas(seen)
                case "sweep" if self.passes.engine.sweeping:
                    self.passes.sweep()
        except (Conflict, Killed):
            pass

    def quiet(self) -> bool:
        done = all(row.status.phase is Phase.DONE for row in self.db.rollouts.values())
        return done and len(self.db.replicas) == (self.db.stable_replicas if self.db.stable else 0)

    # --- people -----------------------------------------------------------------------------

    def people(self) -> None:
        if self.rng.random() < 0.07:
            self.deploy()
        for row in list(self.db.rollouts.values()):
            if row.status.phase is Phase.DONE:
                continue
            chance = self.rng.random()
            early = row.status.phase is Phase.PROVISIONING and row.status.exposed
            if chance < (0.1 if early else 0.01):
                self.change(row, aborted=True, abort_code=ReasonCode.ABORTED)
            elif chance < 0.03:
                self.change(row, paused=not row.spec.paused)
            elif chance < 0.06:
                self.change(row, promoted_through=row.status.step)

    def kind_people(self) -> None:
        """They see to it that nothing waits for them for ever."""
        for row in list(self.db.rollouts.values()):
            if row.spec.paused or row.status.waiting == "user":
                self.change(row, paused=False, promoted_through=row.status.step)

    def change(self, row: RolloutRow, **fields: object) -> None:
        spec = replace(row.spec, generation=row.spec.generation + 1, **fields)  # type: ignore[arg-type]
        self.db.rollouts[row.id] = replace(row, spec=spec, revision=row.revision + 1)
        self.db.revision += 1

    def deploy(self) -> None:
        """A new release or an earlier one; the service lets one rollout wait, not two."""
        rows = self.db.rollouts.values()
        if any(row.status.phase is Phase.PENDING for row in rows):
            return
        active = [row for row in rows if row.status.phase.active]
        target = self.pick_release()
        if target == self.db.stable and not active:
            return
        for row in active:
            if self.rng.random() < 0.6:
                self.change(row, aborted=True, abort_code=ReasonCode.SUPERSEDED)
        number = len(self.db.rollouts)
        verdict = self.rng.choice((Verdict.PASS, Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE))
        self.db.rollouts[number] = RolloutRow(
            number,
            Spec(
                target=target,
                stable=self.db.stable,
                replicas=self.rng.choice((1, 2, 3)),
                steps=compile_steps(self.rng.choice(STRATEGIES)),
                drain_seconds=self.drain_seconds,
                provision_seconds=20,
                progress_seconds=40,
                reach_seconds=6,
                stable_replicas=self.db.stable_replicas,
            ),
            Status(),
            approved_at=self.db.now + self.rng.choice((0, 0, 5, 15)),
            verdicts={"errors": (self.db.now + self.rng.choice((5, 15, 25)), verdict)},
        )
        self.db.revision += 1

    def pick_release(self) -> str:
        """Often back to one that still drains."""
        rows = self.db.rollouts.values()
        losers = [loser(r.spec, r.status) for r in rows if r.status.phase is Phase.SETTLING]
        draining = [release for release in losers if release]
        if draining and self.rng.random() < 0.5:
            return draining[-1]
        if self.rng.random() < 0.4:
            return self.rng.choice(list(self.outside.traits)[-3:])
        name = f"v{len(self.outside.traits) + 1}"
        flaws = ("load_fails", "flaky", "bad_answers", "unreachable", "rejected")
        flaw = self.rng.choice(flaws) if self.rng.random() < 0.3 else None
        self.outside.traits[name] = Traits(**{flaw: True}) if flaw else Traits()
        return name

    # --- faults -----------------------------------------------------------------------------

    def trouble(self) -> None:
        if self.rng.random() < 0.02:
            host = self.rng.choice(HOSTS)
            self.outside.silent_until[host] = self.db.now + self.rng.choice((3, 10, 30))
        for gateway in list(self.outside.gateways.values()):
            chance = self.rng.random()
            if chance < 0.01:
                self.outside.restart(gateway, self.db, self.rng.choice((1, 3)))
                self.watcher.gone(gateway.name)
            elif chance < 0.02:
                gateway.mute_until = self.db.now + self.rng.choice((2, 8, 20))
            elif chance < 0.022 and gateway.name in self.db.gateways:
                self.remove_gateway(gateway)
        if self.rng.random() < 0.004:
            self.add_gateway(f"gateway-{len(self.outside.gateways)}")

    def add_gateway(self, name: str) -> None:
        self.outside.gateways[name] = Gateway(name, slowness=self.rng.choice((0.9, 0.5, 0.2)))
        self.db.gateways[name] = GatewayRow(name, polled_at=self.db.now)
        self.db.revision += 1

    def remove_gateway(self, gateway: Gateway) -> None:
        self.db.gateways.pop(gateway.name, None)
        self.db.revision += 1
        self.watcher.gone(gateway.name)

    def calm(self) -> None:
        self.faults = min(self.faults, 0.001)
        self.outside.silent_until.clear()
        if not self.db.gateways:
            self.add_gateway("gateway-late")
        for gateway in self.outside.gateways.values():
            gateway.mute_until = gateway.down_until = 0.0
            if self.rng.random() < 0.1 and len(self.db.gateways) > 1:
                gateway.mute_until = 1e9
                self.remove_gateway(gateway)

    def outcomes(self) -> Counter[str]:
        return Counter(
            f"{row.status.outcome}:{row.status.reason.code}"
            if row.status.reason
            else row.status.outcome
            for row in self.db.rollouts.values()
        )
