"""What one pass decides, and the clocks that a status keeps while it waits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from deployments.domain.rollout import Outcome, Reason, Status, Waiting, stalled
from deployments.domain.world import Effect

TICK_SECONDS = 1.0
SLOW_TICK_SECONDS = 5.0
PROMPT_TICK_SECONDS = 0.2

MACHINE_WAITS = frozenset({Waiting.REPLICAS, Waiting.SMOKE, Waiting.GATEWAY, Waiting.REACH})
"""Waits that have a deadline; the others wait for people, for time or for another rollout."""


@dataclass(frozen=True, slots=True)
class Decision:
    """`status` is to be committed if the revision is unchanged; nothing if it equals the old one.

    `effects` are data and may be carried out any number of times. `again_in` is when to look again
    unless something wakes the loop first; None is never. `note` is one sentence for the timeline,
    empty when nothing happened that a person would want to read.
    """

    status: Status
    effects: tuple[Effect, ...] = ()
    again_in: float | None = TICK_SECONDS
    note: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """Why a rollout cannot go on now.

    `frozen` stops its clocks. `limit` is how many seconds this one wait may last; after that
    `overdue` ends the rollout. `why` explains a standstill while it lasts.
    """

    waiting: Waiting
    frozen: bool = False
    effects: tuple[Effect, ...] = ()
    limit: float | None = None
    overdue: Reason | None = None
    why: Reason | None = None
    again_in: float = TICK_SECONDS
    note: str = ""

    def lapsed(self, was: Status, now: float) -> Reason | None:
        """The reason to end with, once this wait has lasted longer than its limit."""
        if self.frozen or self.limit is None or was.stalled_for is not self.waiting:
            return None
        return self.overdue if stalled(was, now) > self.limit else None


def wait(was: Status, now: float, block: Block) -> Decision:
    """Stay in this phase and step."""
    reason = block.why if was.outcome is Outcome.NONE else was.reason
    if reason and was.reason and reason.code is was.reason.code:
        reason = was.reason  # the first evidence stays: a standstill is one event, not one a second
    status = _clocked(replace(was, waiting=block.waiting, reason=reason), was, now, block.frozen)
    note = ""
    if block.waiting is not was.waiting or (reason and reason != was.reason):
        note = block.note or (block.why.message if block.why else "")
    return Decision(status, block.effects, block.again_in, note)


def move(was: Status, now: float, note: str, **changes: Any) -> Decision:
    """Enter another phase or step: all clocks begin anew, the next look is at once."""
    fresh = replace(
        was,
        since=now,
        waiting=Waiting.NOTHING,
        paused_seconds=0.0,
        frozen_since=None,
        stalled_for=Waiting.NOTHING,
        stalled_since=0.0,
    )
    reason = was.reason if was.outcome is not Outcome.NONE else None
    return Decision(replace(fresh, **({"reason": reason} | changes)), again_in=0, note=note)


def _clocked(status: Status, was: Status, now: float, frozen: bool) -> Status:
    if frozen:
        return replace(status, frozen_since=now if was.frozen_since is None else was.frozen_since)
    stood = 0.0 if was.frozen_since is None else max(0.0, now - was.frozen_since)
    status = replace(status, frozen_since=None, paused_seconds=was.paused_seconds + stood)
    if status.waiting not in MACHINE_WAITS:
        return replace(status, stalled_for=Waiting.NOTHING, stalled_since=0.0)
    if status.waiting is was.stalled_for:
        return replace(status, stalled_since=was.stalled_since + stood)
    return replace(status, stalled_for=status.waiting, stalled_since=now)
