"""How long a rollout takes, how long a rollback, and what a switch costs those being served.

Times are those that the system wrote down itself: the request that began it, and the moment at
which the last gateway acknowledged the new routes.
"""

from __future__ import annotations

import tempfile
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

from rich.console import Console

from cli import Rollout
from tests.bench import containers, keys
from tests.bench.figures import Figure
from tests.integration.stack import Durations, Stack
from tests.integration.tally import Attempt, Tally, load, p99

ROUNDS = 6
CONNECTIONS, SWITCHES = 16, 10
STEADY = 1.5
AFTERWARDS = 0.25
"""Requests that began this long after an acknowledgement are still counted to the switch."""

# Releases must stay warm for a rollback, and nothing may be held up by the limit on requests.
LASTING = Durations(
    bake=60.0,
    drain=60.0,
    within=60.0,
    environ={
        "SLIPWAY_RATE_LIMIT_PER_MINUTE": "100000",
        "SLIPWAY_RATE_LIMIT_WRITES_PER_MINUTE": "100000",
        "SLIPWAY_REPLICA_DRAIN_WAIT_SECONDS": "0.5",
    },
)
Span = tuple[float, float]


def measure(console: Console) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        with Stack(Path(folder) / "home", LASTING) as stack:
            console.print("· the stack runs; taking turns: rollout, rollback")
            stack.at_rest()
            starts, backs, acknowledged = _rollouts_and_rollbacks(stack)
            console.print(f"· {CONNECTIONS} connections, {SWITCHES} switches between steady spells")
            tally, during = _switches(stack)
            console.print("· keys are revoked while their clients go on asking")
            revoked = keys.revocations(stack, Path(folder))
        assert stack.processes() == []
        contained = containers.rollouts(console, LASTING, Path(folder) / "contained", _took)
    steady = _between(during)
    figures = [
        *_both("rollout: start to all traffic acknowledged", starts, "s", 5.0),
        *_both("rollback to a warm release: call to acknowledgement", backs, "s", 1.0),
        *_both("gateway: routes changed to acknowledged", acknowledged, "ms", None),
    ]
    switched, calm = _within(tally, during), _within(tally, steady)
    return [
        *figures,
        Figure("p99 while nothing moves", 1000 * p99(calm), "ms"),
        Figure("p99 during switches", 1000 * p99(switched), "ms"),
        Figure("p99 during switches / steady", p99(switched) / p99(calm), "×", 1.5),
        Figure("requests attempted", float(tally.attempted), ""),
        Figure("requests failed", float(len(tally.failed)), "", 0.0),
        *revoked,
        *contained,
    ]


def _rollouts_and_rollbacks(stack: Stack) -> tuple[list[float], list[float], list[float]]:
    """Each round: the other version from nothing, then back to the one that is still warm."""
    starts, backs, acknowledged = [], [], []
    endpoint = stack.endpoint()
    for _ in range(ROUNDS):
        stack.edit_environment(drain_seconds=0)  # so that the next one starts cold
        new = 3 - (stack.endpoint().stable_version or 0)
        rollout = stack.until(
            stack.deploy(new, bake=LASTING.bake), acknowledged_switch, what="the switch"
        )
        starts.append(_took(rollout))
        acknowledged += [float(each["acknowledged_ms"]) for each in rollout.gateways]
        called = time.time()
        stack.slipway.rollback(endpoint.id, reason="measured")
        back = stack.until(
            rollout,
            lambda seen: seen.is_decided and acknowledged_switch(seen),
            what="the way back",
        )
        backs.append(_seconds(back.timings["switch_acknowledged_at"]) - called)
        stack.finished(back)
    return starts, backs, acknowledged


def _switches(stack: Stack) -> tuple[Tally, list[Span]]:
    """Back and forth between two warm releases, with a steady spell before, between and after."""
    stack.edit_environment(drain_seconds=LASTING.drain)
    wanted = 3 - (stack.endpoint().stable_version or 0)
    stack.until(stack.deploy(wanted), acknowledged_switch, what="both are warm")
    during: list[Span] = []
    with load(stack.infer_url, stack.key_file, connections=CONNECTIONS, pace=0.0) as tally:
        time.sleep(STEADY)
        for _ in range(SWITCHES):
            wanted = 3 - wanted
            began = time.time()
            _deploy_unwatched(stack, wanted)
            during.append((began, time.time() + AFTERWARDS))
            time.sleep(AFTERWARDS + STEADY)
    return tally, during


def _deploy_unwatched(stack: Stack, version: int) -> None:
    """One request that is answered at the end: asking again and again would be a load as well, and
    one that the steady spells do not have."""
    rollout = stack.deploy(version)
    operations = stack.slipway.items("/operations", most=20)
    operation = next(each for each in operations if each["target"]["id"] == rollout.id)
    done = stack.slipway.operation(operation["id"], wait=30)
    assert done.status == "succeeded", done.raw


def acknowledged_switch(rollout: Rollout) -> bool:
    return rollout.timings["switch_acknowledged_at"] is not None


def _took(rollout: Rollout) -> float:
    began = _seconds(rollout.timings["created_at"])
    return _seconds(rollout.timings["switch_acknowledged_at"]) - began


def _seconds(moment: str | None) -> float:
    return datetime.fromisoformat(moment or "").timestamp()


def _between(spans: list[Span]) -> list[Span]:
    """The steady spells: one before each switch, of the length that was waited."""
    before = (spans[0][0] - STEADY, spans[0][0])
    return [before, *((earlier[1], later[0]) for earlier, later in pairwise(spans))]


def _within(tally: Tally, spans: list[Span]) -> list[Attempt]:
    return [
        each for each in tally.answered if any(since <= each.began < till for since, till in spans)
    ]


def _both(name: str, values: list[float], unit: str, bound: float | None) -> list[Figure]:
    return [
        Figure(f"{name} (median of {len(values)})", median(values), unit, bound),
        Figure(f"{name} (worst)", max(values), unit, bound),
    ]
