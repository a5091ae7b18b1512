"""How a rollout lets go of the release that lost: the old one if promoted, the target otherwise.

1. Every gateway acknowledges routes that send the loser nothing.
2. The drain timer runs from that acknowledgement, never from the decision.
3. Nobody needs the loser's replicas any more (`released`); wait until none is left.
4. Its cluster is withdrawn; wait until no gateway knows it. Done.

A later rollout may take the loser over (a rollback to a release that still drains). From the moment
that it sends it traffic again, letting go is its business, and this rollout is done.
"""

from __future__ import annotations

from dataclasses import replace

from deployments.domain.decision import Block, Decision, move, wait
from deployments.domain.rollout import Outcome, Phase, Spec, Status, Waiting, loser
from deployments.domain.world import World

_DONE_NOTES = {
    Outcome.PROMOTED: "The rollout is complete.",
    Outcome.OBSERVED: "The observed release is stopped.",
    Outcome.REVERTED: "The failed release is stopped.",
}


def settle(spec: Spec, was: Status, world: World) -> Decision:
    """It is too late to abort here; to go back, start a rollout to the old release."""
    losing = loser(spec, was)
    if losing is None or losing in world.kept_elsewhere:
        return _done(was, world)
    if not was.released:
        return _drain(spec, was, world)
    if world.silent_hosts:
        return _hold(was, world, Waiting.HOST)
    if world.counts(losing).present:
        return _hold(was, world, Waiting.DRAIN)
    if was.exposed:
        return Decision(replace(was, exposed=False, waiting=Waiting.GATEWAY), again_in=0)
    if not world.gateways.withdrawn:
        return _hold(was, world, Waiting.GATEWAY)
    return _done(was, world)


def _drain(spec: Spec, was: Status, world: World) -> Decision:
    if was.exposed:
        if world.gateways.clear_since is None:
            return _hold(replace(was, drain_since=None), world, Waiting.GATEWAY)
        # Kept from the first time it is seen: later acknowledgements of other things do not count.
        since = world.gateways.clear_since if was.drain_since is None else was.drain_since
        was = replace(was, drain_since=since)
        left = since + spec.drain_seconds - world.now
        if left > 0:
            return _hold(was, world, Waiting.DRAIN, again_in=min(left, 1.0))
    return Decision(replace(was, released=True, waiting=Waiting.DRAIN), again_in=0)


def _hold(was: Status, world: World, waiting: Waiting, again_in: float = 1.0) -> Decision:
    return wait(was, world.now, Block(waiting, again_in=again_in))


def _done(was: Status, world: World) -> Decision:
    decided = move(was, world.now, _DONE_NOTES[was.outcome], phase=Phase.DONE, exposed=False)
    return replace(decided, again_in=None)
