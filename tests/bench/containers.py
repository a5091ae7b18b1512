"""How long a rollout takes when its replicas are containers of a real Engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median

from rich.console import Console

from cli import Rollout
from tests.bench.figures import Figure
from tests.integration.stack import Durations, Stack
from tests.integration.tally import load
from tests.plugin_tiers import lacks

ROUNDS = 5
_BOUND = 8.0
_WHAT = "rollout in containers"


def rollouts(
    console: Console, lasting: Durations, folder: Path, took: Callable[[Rollout], float]
) -> list[Figure]:
    """Back and forth between two versions whose images are there, under load; each time the other
    one's containers are started from nothing. The very first time it is built as well."""
    if why := lacks("docker"):
        console.print(f"· not measured in containers: {why}")
        return []
    with Stack(folder, lasting, host="docker") as stack:
        console.print("· the same in containers of this machine's Engine")
        stack.edit_environment(drain_seconds=0)  # so that the next one starts cold
        first = _rolled_out(stack, 1)
        with load(stack.infer_url, stack.key_file, connections=4, pace=0.02) as tally:
            building = _rolled_out(stack, 2)
            taken = [took(_rolled_out(stack, 1 + number % 2)) for number in range(ROUNDS)]
    name = f"{_WHAT}, image present: start to all traffic acknowledged"
    return [
        Figure(f"{name} (median of {ROUNDS})", median(taken), "s", _BOUND),
        Figure(f"{name} (worst)", max(taken), "s", _BOUND),
        Figure(f"{_WHAT}, image built meanwhile", max(took(first), took(building)), "s"),
        Figure(f"{_WHAT}: requests attempted", float(tally.attempted), ""),
        Figure(f"{_WHAT}: requests failed", float(len(tally.failed)), "", 0.0),
    ]


def _rolled_out(stack: Stack, version: int) -> Rollout:
    """To its end, at which nothing of the one before runs any more."""
    rollout = stack.finished(stack.deploy(version))
    assert rollout.outcome == "promoted", rollout.sentence
    return rollout
