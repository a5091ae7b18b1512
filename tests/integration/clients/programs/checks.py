"""What the programs here share. They run in environments that have one client each and nothing of
Slipway, so this is plain Python: a program registers checks, `run` writes what became of each.

    python PROGRAM '{"http": "http://…", "grpc": "host:port", "key": "…", …}'
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_checks: list[Callable[..., Any]] = []

TEXTS = ["", "a plain word", "Grüße, 世界 🛶"]
HALVES = [[0.5, -2.0], [65504.0, 0.0], [1.0, 0.25]]
COUNTS = [0, -1, 2**63 - 1]
FLAGS = [True, False, True]
NUMBERS = [[1.5], [-0.25], [3e38]]


@dataclass(frozen=True)
class Target:
    """Where to ask and what to expect: `table` predicts rows of numbers, `mixed` gives its inputs
    of several datatypes back, as `same_…`."""

    http: str
    grpc: str
    key: str
    table: str
    version: str
    mixed: str
    rows: list[list[float]]
    labels: list[int]
    probabilities: list[list[float]]

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    @property
    def metadata(self) -> list[tuple[str, str]]:
        return list(self.headers.items())


def check(function: Callable[[Target], Any]) -> Callable[[Target], Any]:
    _checks.append(function)
    return function


def close(found: Any, expected: Any) -> None:
    """Numbers as near as two ways of writing the same float32 are."""
    flat, wanted = _flat(found), _flat(expected)
    assert len(flat) == len(wanted), (len(flat), len(wanted))
    assert all(abs(a - b) < 1e-5 for a, b in zip(flat, wanted, strict=True)), (flat, wanted)


def _flat(value: Any) -> list[float]:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [number for item in value for number in _flat(item)]
    return [value]


def refused(problem: type[BaseException], ask: Callable[[], Any]) -> Any:
    """The exception with which asking must end."""
    try:
        answer = ask()
    except problem as raised:
        return raised
    raise AssertionError(f"it was answered: {answer}")


async def refused_async(problem: type[BaseException], asking: Any) -> Any:
    try:
        answer = await asking
    except problem as raised:
        return raised
    raise AssertionError(f"it was answered: {answer}")


def run() -> None:
    target = Target(**json.loads(sys.argv[1]))
    outcomes: dict[str, str] = {}
    for function in _checks:
        try:
            if inspect.iscoroutinefunction(function):
                asyncio.run(function(target))
            else:
                function(target)
        except Exception:  # noqa: BLE001  # each check has its own end
            outcomes[function.__name__] = traceback.format_exc()
        else:
            outcomes[function.__name__] = ""
    sys.stdout.write(json.dumps(outcomes) + "\n")
