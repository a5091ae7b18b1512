"""Mistakes that somebody might make, each as an engine with one part replaced. The simulator has to
catch every one; two of them were in earlier drafts of the engine, and it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from deployments.domain import fleet, traffic
from deployments.domain.decide import Decision, decide
from deployments.domain.fleet import Need
from deployments.domain.rollout import NO_TRAFFIC, Outcome, Phase, Spec, Status, loser
from deployments.domain.traffic import Seen
from deployments.domain.world import GatewayView, ReplicaCounts, SmokeVerdict, World
from tests.unit.deployments.simulator.engine import GUARDS, Engine, Unfinished

Tamper = Callable[[Spec, Status, World], World]


def _believing(tamper: Tamper) -> Engine:
    """An engine that sees the world other than it is."""

    def mistaken(spec: Spec, was: Status, world: World) -> Decision:
        return decide(spec, was, tamper(spec, was, world))

    return Engine(decide=mistaken)


def _concluding(tamper: Callable[[Spec, Status, Decision], Status]) -> Engine:
    """An engine that draws another conclusion."""

    def mistaken(spec: Spec, was: Status, world: World) -> Decision:
        decision = decide(spec, was, world)
        return replace(decision, status=tamper(spec, was, decision))

    return Engine(decide=mistaken)


def _gateways(world: World, **fields: object) -> World:
    return replace(world, gateways=replace(world.gateways, **fields))  # type: ignore[arg-type]


def _drain_from_the_decision(spec: Spec, was: Status, world: World) -> World:
    return _gateways(world, clear_since=was.since) if was.phase is Phase.SETTLING else world


def _without_acknowledgements(spec: Spec, was: Status, world: World) -> World:
    return _gateways(world, acked=was.split, silent=frozenset())


def _no_gateway_will_do(spec: Spec, was: Status, world: World) -> World:
    if world.gateways.registered:
        return world
    nobody = frozenset({"nobody"})
    return _gateways(world, registered=nobody, reached=nobody, acked=was.split, acked_exposed=True)


def _every_replica_counts_as_ready(spec: Spec, was: Status, world: World) -> World:
    counts = world.counts(spec.target)
    ready = ReplicaCounts(counts.present, counts.present, counts.failed)
    return replace(world, replicas={**world.replicas, spec.target: ready})


def _any_answer_will_do(spec: Spec, was: Status, world: World) -> World:
    if world.smoked is None:
        return world
    return replace(world, smoked=SmokeVerdict(True, {}))


def _acknowledged_is_reached(spec: Spec, was: Status, world: World) -> World:
    return _gateways(world, reached=world.gateways.registered)


def _approval_is_not_asked(spec: Spec, was: Status, world: World) -> World:
    return replace(world, approved=True)


def _silent_is_empty(spec: Spec, was: Status, world: World) -> World:
    return replace(world, silent_hosts=frozenset())


def _withdrawn_at_once(spec: Spec, was: Status, decision: Decision) -> Status:
    reverts = decision.status.outcome is Outcome.REVERTED and was.outcome is Outcome.NONE
    return replace(decision.status, exposed=False) if reverts else decision.status


def _no_share_now_is_none_ever(spec: Spec, was: Status, decision: Decision) -> Status:
    lets_go = decision.status.phase is Phase.SETTLING and was.phase is Phase.STEPPING
    if lets_go and was.split == NO_TRAFFIC:
        return replace(decision.status, exposed=False)
    return decision.status


def _released_at_once(spec: Spec, was: Status, decision: Decision) -> Status:
    return replace(decision.status, released=decision.status.phase is Phase.SETTLING)


def _needs_of_active_ones_only(
    stable: str | None, replicas: int, unfinished: Unfinished
) -> dict[str, Need]:
    active = [(spec, status) for spec, status in unfinished if status.phase.active]
    return fleet.needs(stable, replicas, active)


def _needs_without_holding(
    stable: str | None, replicas: int, unfinished: Unfinished
) -> dict[str, Need]:
    found = fleet.needs(stable, replicas, unfinished)
    return {release: Need(max(1, need.count)) for release, need in found.items()}


def _hand_over_when_published(stable: str | None, others: Unfinished) -> frozenset[str]:
    others = list(others)
    published = {s.target for s, status in others if status.phase.active and status.exposed}
    return fleet.kept_elsewhere(stable, others) | published


def _hand_over_to_settling(stable: str | None, others: Unfinished) -> frozenset[str]:
    others = list(others)
    losers = {loser(s, status) for s, status in others if status.phase is Phase.SETTLING}
    return fleet.kept_elsewhere(stable, others) | {each for each in losers if each}


def _first_gateway_speaks_for_all(
    spec: Spec, status: Status, gateways: Sequence[Seen]
) -> GatewayView:
    full = traffic.view(spec, status, gateways)
    first = traffic.view(spec, status, gateways[:1])
    return replace(full, acked=first.acked, clear_since=first.clear_since)


def _acknowledged_is_all_it_does(
    spec: Spec, status: Status, gateways: Sequence[Seen]
) -> GatewayView:
    known = [replace(each, later_routes=(), later_clusters=()) for each in gateways]
    return traffic.view(spec, status, known)


def _pointer_follows_every_promoted(
    spec: Spec, was: Status, now: Status, current: str | None
) -> str | None:
    return spec.target if now.outcome is Outcome.PROMOTED else current


def _pointer_moves_when_done(
    spec: Spec, was: Status, now: Status, current: str | None
) -> str | None:
    done = now.phase is Phase.DONE and now.outcome is Outcome.PROMOTED
    return spec.target if done else current


MUTATIONS: dict[str, Engine] = {
    "the drain clock starts at the decision": _believing(_drain_from_the_decision),
    "acknowledgements are not waited for": _believing(_without_acknowledgements),
    "no gateway at all will do": _believing(_no_gateway_will_do),
    "a replica that is there counts as ready": _believing(_every_replica_counts_as_ready),
    "a wrong sample answer will do": _believing(_any_answer_will_do),
    "an acknowledged cluster counts as reached": _believing(_acknowledged_is_reached),
    "approval is not asked for": _believing(_approval_is_not_asked),
    "a silent host counts as empty": replace(
        _believing(_silent_is_empty), rows_of_silent_hosts=False
    ),
    "the cluster goes with the revert": _concluding(_withdrawn_at_once),
    "no traffic now counts as none ever": _concluding(_no_share_now_is_none_ever),
    "the loser is released at once": _concluding(_released_at_once),
    "settling rollouts need nothing": Engine(needs=_needs_of_active_ones_only),
    "the loser may be scaled down": Engine(needs=_needs_without_holding),
    "a release is handed over before it gets traffic": Engine(
        kept_elsewhere=_hand_over_when_published
    ),
    "settling rollouts hand over to each other": Engine(kept_elsewhere=_hand_over_to_settling),
    "the first gateway speaks for all": Engine(view=_first_gateway_speaks_for_all),
    "what is not acknowledged is not done": Engine(view=_acknowledged_is_all_it_does),
    "the pointer follows every promoted rollout": Engine(
        stable_after=_pointer_follows_every_promoted
    ),
    "the pointer moves when the rollout is done": Engine(stable_after=_pointer_moves_when_done),
    "a waiting rollout keeps its old start": Engine(rebase=lambda spec, *_: spec),
    "a status is written over a newer one": Engine(guarded=GUARDS - {"status"}),
    "an old read is published": Engine(guarded=GUARDS - {"snapshots"}),
    "the sweep is dropped": Engine(sweeping=False),
}
