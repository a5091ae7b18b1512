"""The one decision of the engine: what is wanted, what was decided, what is seen; what now?

    pending ─► provisioning ─► stepping ─► settling ─► done
                    └──── trouble, abort ────┘

Provisioning: every replica ready, smoke inference direct, cluster published and acknowledged by
every gateway, reached through every gateway. Stepping: one step after the other, none left before
every gateway acknowledged its split. Settling: see `settle`.

A transition needs evidence in the world, never a return value; each pass makes one.

What does not answer is silent, never empty. While a host that holds a copy of either release is
silent, the rollout is frozen: no step forward, no deadline runs, nothing counts as lost. Failures
that other hosts report still count, and a person can still abort, which needs the gateways only.
While a gateway is silent, whatever needs the gateways is frozen likewise.
"""

from __future__ import annotations

from dataclasses import replace

from deployments.domain import trouble
from deployments.domain.blockers import blocker, wanted_split
from deployments.domain.decision import SLOW_TICK_SECONDS, Block, Decision, move, wait
from deployments.domain.rollout import (
    NO_TRAFFIC,
    Mirror,
    Outcome,
    Phase,
    Reason,
    SetWeight,
    Spec,
    Split,
    Status,
    Waiting,
)
from deployments.domain.settle import settle
from deployments.domain.world import World

__all__ = ["Decision", "decide"]


def decide(spec: Spec, was: Status, world: World) -> Decision:
    """Choose the next status, and the effects that bring the world toward it. Same in, same out."""
    match was.phase:
        case Phase.DONE:
            return Decision(was, again_in=None)
        case Phase.PENDING:
            decision = _begin(spec, was, world)
        case Phase.SETTLING:
            decision = settle(spec, was, world)
        case _:
            decision = _active(spec, was, world)
    if decision.status.observed_generation == spec.generation:
        return decision
    status = replace(decision.status, observed_generation=spec.generation)
    return replace(decision, status=status)


def _begin(spec: Spec, was: Status, world: World) -> Decision:
    """Nothing has happened yet, so an abort ends it here, and there is nothing to let go of."""
    if reason := trouble.aborted(spec):
        return _over(
            was, world, Outcome.REVERTED, reason, f"Ended before it began: {reason.message}"
        )
    if world.earlier_active:
        return wait(was, world.now, Block(Waiting.EARLIER, frozen=True))
    if spec.paused:
        return wait(was, world.now, Block(Waiting.USER, frozen=True, again_in=SLOW_TICK_SECONDS))
    if spec.target == spec.stable:
        return _over(was, world, Outcome.PROMOTED, None, "The endpoint already has this release.")
    return move(was, world.now, "Starting replicas.", phase=Phase.PROVISIONING, started=world.now)


def _active(spec: Spec, was: Status, world: World) -> Decision:
    if reason := trouble.find(spec, was, world):
        return _revert(spec, was, world, reason)
    block = blocker(spec, was, world)
    if block is None:
        return _go_on(spec, was, world)
    if reason := block.lapsed(was, world.now):
        return _revert(spec, was, world, reason)
    return wait(was, world.now, block)


def _go_on(spec: Spec, was: Status, world: World) -> Decision:
    """Nothing is in the way: the next thing, one at a time."""
    if was.phase is Phase.PROVISIONING:
        if not was.exposed:
            return _ask_gateways(replace(was, exposed=True), world, "Replicas ready and answering.")
        return move(was, world.now, "Reached through every gateway.", phase=Phase.STEPPING, step=0)
    if was.step >= len(spec.steps):
        return _finish(spec, was, world)
    wanted = wanted_split(spec, was)
    if was.split != wanted:
        return _ask_gateways(replace(was, split=wanted), world, _split_note(wanted))
    return move(was, world.now, "", step=was.step + 1)


def _ask_gateways(status: Status, world: World, note: str) -> Decision:
    """The new desired state is committed; the gateways derive their configuration from it. Where
    they run it already, as with a release that still drains, no acknowledgement comes to wake the
    loop: so it looks again at once."""
    asked = wait(status, world.now, Block(Waiting.GATEWAY))
    return replace(asked, note=note, again_in=0)


def _split_note(split: Split) -> str:
    if split.mirror_percent:
        return f"Mirroring {split.mirror_percent} % of the traffic to the new release."
    return f"Sending {split.target_percent} % of the traffic to the new release."


def _finish(spec: Spec, was: Status, world: World) -> Decision:
    """All steps passed and acknowledged. From here the endpoint's pointer is the target's."""
    if was.split == Split(100):
        return move(was, world.now, "Promoted.", phase=Phase.SETTLING, outcome=Outcome.PROMOTED)
    note = "Observed to the end; letting it go."
    return _let_go(spec, was, world, Outcome.OBSERVED, None, note)


def _revert(spec: Spec, was: Status, world: World, reason: Reason) -> Decision:
    return _let_go(spec, was, world, Outcome.REVERTED, reason, f"Reverted: {reason.message}")


def _let_go(
    spec: Spec, was: Status, world: World, outcome: Outcome, reason: Reason | None, note: str
) -> Decision:
    """One route change back. A target that no gateway ever sent anything is withdrawn with it, so
    that a cluster which a gateway rejects cannot block what follows."""
    untouched = not _has_had_traffic(spec, was) and world.gateways.clear_since is not None
    return move(
        was,
        world.now,
        note,
        phase=Phase.SETTLING,
        outcome=outcome,
        reason=reason,
        split=NO_TRAFFIC,
        exposed=was.exposed and not untouched,
    )


def _has_had_traffic(spec: Spec, was: Status) -> bool:
    """Its split may be back at nothing already, and requests still under way."""
    if was.split != NO_TRAFFIC:
        return True
    passed = spec.steps[: was.step] if was.phase is Phase.STEPPING else ()
    return any(isinstance(step, SetWeight | Mirror) and step.percent for step in passed)


def _over(
    was: Status, world: World, outcome: Outcome, reason: Reason | None, note: str
) -> Decision:
    decided = move(was, world.now, note, phase=Phase.DONE, outcome=outcome, reason=reason)
    return replace(decided, again_in=None)
