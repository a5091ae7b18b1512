"""The engine against killed workers, old reads, slow and silent gateways, hosts that fall silent,
crashing replicas and people who change their minds, over overlapping rollouts of one endpoint.

    SLIPWAY_SIMULATIONS=20000 pytest tests/unit/deployments/test_a_rollout_survives_anything.py

Each failure names its seed; `run(seed)` tells the same story again.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest

from tests.unit.deployments.simulator.invariants import Violation
from tests.unit.deployments.simulator.mutations import MUTATIONS
from tests.unit.deployments.simulator.story import Ending, run

SIMULATIONS = int(os.environ.get("SLIPWAY_SIMULATIONS", "200"))
PATIENCE = 150
RARE = {"a release is handed over before it gets traffic": 300}
"""Mistakes that take a long story to show: where to start looking."""


def _endings(first: int, count: int) -> list[Ending]:
    return [run(seed) for seed in range(first, first + count)]


def test_a_rollout_survives_anything() -> None:
    """Other stories each time; pytest-randomly prints the seed that they follow from."""
    first = random.randrange(2**31)
    print(f"seeds {first} to {first + SIMULATIONS - 1}")  # noqa: T201
    assert len(_endings(first, SIMULATIONS)) == SIMULATIONS


def test_the_simulator_tells_many_stories() -> None:
    """A simulator in which nothing happens would prove nothing."""
    endings = _endings(0, 100)
    outcomes = sum((ending.outcomes for ending in endings), Counter[str]())
    assert {
        "promoted",
        "observed",
        "reverted:aborted",
        "reverted:superseded",
        "reverted:model-load-failed",
        "reverted:smoke-failed",
        "reverted:xds-nack",
        "reverted:reach-failed",
        "reverted:analysis-failed",
    } <= set(outcomes)
    assert sum(ending.overlapped for ending in endings) > len(endings) / 2


def test_the_same_seed_tells_the_same_story() -> None:
    assert run(7) == run(7)


@pytest.mark.parametrize("mistake", MUTATIONS)
def test_the_simulator_catches(mistake: str) -> None:
    first = RARE.get(mistake, 0)
    for seed in range(first, first + PATIENCE):
        try:
            run(seed, MUTATIONS[mistake])
        except Violation:
            return
    pytest.fail(f"nothing went wrong in {PATIENCE} stories although {mistake}")
