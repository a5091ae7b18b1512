"""Specs, statuses and worlds for tests of single decisions: blue is stable, green the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deployments.domain.decide import Decision
from deployments.domain.plan import BlueGreen, compile_steps
from deployments.domain.rollout import (
    Outcome,
    Phase,
    ReasonCode,
    Spec,
    Split,
    Status,
    Waiting,
)
from deployments.domain.world import (
    GatewayView,
    ReplicaCounts,
    ReplicaFailure,
    SmokeVerdict,
    World,
)

NOW = 1000.0
BLUE, GREEN = "rel_BLUE", "rel_GREEN"
ONE = frozenset({"edge"})
TWO = frozenset({"edge", "hall"})
PASSED = SmokeVerdict(True, {"outputs": [0.5]})

SPEC = Spec(
    target=GREEN,
    stable=BLUE,
    replicas=2,
    steps=compile_steps(BlueGreen(30)),
    stable_replicas=2,
)

PENDING = Status()
PROVISIONING = Status(phase=Phase.PROVISIONING, since=NOW - 5, started=NOW - 5)
EXPOSED = replace(PROVISIONING, exposed=True, waiting=Waiting.GATEWAY)
STEPPING = replace(EXPOSED, phase=Phase.STEPPING, waiting=Waiting.NOTHING)
SWITCHED = replace(STEPPING, split=Split(100), waiting=Waiting.GATEWAY)
BAKING = replace(SWITCHED, step=1, since=NOW - 10, waiting=Waiting.TIMER)
PROMOTED = replace(
    BAKING, phase=Phase.SETTLING, outcome=Outcome.PROMOTED, step=2, waiting=Waiting.NOTHING
)


def counts(green: int = 2, blue: int = 2) -> Mapping[str, ReplicaCounts]:
    return {GREEN: ReplicaCounts(green, green), BLUE: ReplicaCounts(blue, blue)}


def gateways(split: Split = Split(), **fields: Any) -> GatewayView:  # noqa: B008
    """Everybody agrees to the split, knows and reaches the target."""
    view = GatewayView(
        registered=ONE, reached=ONE, acked=split, acked_exposed=True, acked_since=NOW - 60
    )
    return replace(view, **fields)


def world(split: Split = Split(), **fields: Any) -> World:  # noqa: B008
    """All is well, and all gateways do this split."""
    well = World(now=NOW, approved=True, replicas=counts(), smoked=PASSED, gateways=gateways(split))
    return replace(well, **fields)


def failure(replica: str, code: ReasonCode = ReasonCode.REPLICA_CRASHED) -> ReplicaFailure:
    return ReplicaFailure(GREEN, replica, code, f"{replica} ended.", {"log": ["the last line"]})


def settled_reason(decision: Decision) -> ReasonCode | None:
    """Asserts that the rollout reverts: one route change, and a reason with words."""
    status = decision.status
    assert (status.phase, status.outcome) == (Phase.SETTLING, Outcome.REVERTED)
    assert status.split == Split()
    assert status.reason
    assert status.reason.message.endswith(".")
    assert decision.again_in == 0
    assert decision.note.startswith("Reverted: ")
    return status.reason.code


def waits_for(decision: Decision, was: Status, waiting: Waiting) -> bool:
    """It stays where it is."""
    status = decision.status
    same = (status.phase, status.step, status.split) == (was.phase, was.step, was.split)
    return same and status.waiting is waiting
