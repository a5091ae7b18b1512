"""Measure Slipway on this machine: `python -m tests.bench [--only GROUP]`.

Prints a table, writes var/bench.json, and exits 1 when a bound does not hold: no figure is a test,
because a busy machine is no mistake of the code's.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from rich.console import Console

from tests.bench import rollout
from tests.bench.figures import Figure, keep, show
from tests.running import ROOT

GROUPS: dict[str, Callable[[Console], list[Figure]]] = {"rollout": rollout.measure}
COMES_WITH = {
    "serving": 2,
    "rollouts-under-load": 3,
    "monitoring": 4,
    "audit": 5,
    "privacy": 5,
}
TABLE = ROOT / "var" / "bench.json"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", metavar="GROUP", default="")
    only = parser.parse_args(arguments).only
    console = Console()
    if only in COMES_WITH:
        console.print(f"The group {only} comes with part {COMES_WITH[only]}; there is: {_there()}.")
        return 2
    if only and only not in GROUPS:
        console.print(f"There is no group {only}; there is: {_there()}.")
        return 2
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    if busy > 0.7:
        console.print(f"[yellow]This machine is busy already ({busy:.1f} tasks for each core).[/]")
    figures = [each for name in ([only] if only else GROUPS) for each in GROUPS[name](console)]
    show(figures, console)
    keep(figures, TABLE)
    console.print(f"Written to {TABLE.relative_to(ROOT)}.")
    missed = [each.name for each in figures if not each.holds]
    for name in missed:
        console.print(f"[bold red]Not met:[/] {name}")
    return 1 if missed else 0


def _there() -> str:
    return ", ".join(GROUPS)


if __name__ == "__main__":
    sys.exit(main())
