"""Tables for people, JSON for programs; nothing but the answer on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.errors import SlipwayError
from cli.shapes import Endpoint, Rollout

Item = TypeVar("Item")


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"


Output = Annotated[
    Format, typer.Option("-o", "--output", help="How to print the answer.", show_default=True)
]

_WIDE = 400

# Rich itself honours NO_COLOR and writes no colour where there is no terminal.
# A program that reads a table gets a line for each item, however long.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDE)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_STEP_MARKS = {"done": "✔", "current": "▶", "failed": "✘", "skipped": "–"}
_GOOD, _BAD, _BUSY = "green", "red", "yellow"


def as_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")


def rows(
    form: Format,
    items: Iterable[Item],
    columns: Sequence[str],
    row: Callable[[Item], Sequence[object]],
    raw: Callable[[Item], Any],
    empty: str,
) -> None:
    """A list: as `{"items": [...]}`, the shape of the API, or as a table."""
    found = list(items)
    if form is Format.JSON:
        as_json({"items": [raw(item) for item in found]})
        return
    if not found:
        out.print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        # The first column is what the next command is given; it is never cut.
        table.add_column(column, no_wrap=number == 0, overflow="ignore" if number == 0 else "fold")
    cells = [[_cell(value) for value in row(item)] for item in found]
    table.columns[0].min_width = max(len(str(line[0])) for line in cells)
    for line in cells:
        table.add_row(*line)
    out.print(table)


def _cell(value: object) -> RenderableType:
    if isinstance(value, Text):
        return value
    return Text("–" if value in (None, "") else str(value))


def error(problem: SlipwayError) -> None:
    """One sentence, its stable code, and what to do next."""
    code = getattr(problem, "code", "")
    line = Text("error: ", style=_BAD) + Text(str(problem), style="default")
    if code:
        line.append(f" [{code}]", style="dim")
    err.print(line)
    if problem.help:
        err.print(Text(f"help:  {problem.help}"))
    if request_id := getattr(problem, "request_id", ""):
        err.print(Text(f"request {request_id}", style="dim"))


def rollout_view(rollout: Rollout) -> RenderableType:
    """Status in one line, the steps as a bar, and why it ended if it ended badly."""
    head = Text(f"{rollout.endpoint} in {rollout.environment}", style="bold")
    head.append(f"  rollout {rollout.number}: {versions(rollout)}  ", style="default")
    head.append(rollout.badge, style=colour(rollout))
    parts: list[RenderableType] = [head]
    if rollout.steps:
        parts.append(Text("  " + "  ".join(_step(step) for step in rollout.steps)))
    parts.append(Text(f"  {rollout.sentence}"))
    if rollout.reason_code and not rollout.succeeded:
        parts.append(Text(f"  {rollout.reason_code}: {rollout.reason}", style=_BAD))
    return Group(*parts)


def rollout_line(rollout: Rollout) -> str:
    """The same for a log: one line without colour."""
    return f"{rollout.id} {rollout.badge or rollout.phase}: {rollout.sentence}"


def versions(rollout: Rollout) -> str:
    before = f"v{rollout.stable_version}" if rollout.stable_version is not None else "nothing"
    return f"{before} → v{rollout.target_version}"


def colour(rollout: Rollout) -> str:
    if not rollout.is_decided:
        return _BUSY
    return _GOOD if rollout.succeeded else _BAD


def endpoint_view(endpoint: Endpoint, rollout: Rollout | None) -> RenderableType:
    head = Text(f"{endpoint.name} in {endpoint.environment}  ", style="bold")
    head.append(f"{endpoint.state}", style="default")
    parts: list[RenderableType] = [head]
    if endpoint.sentence:
        parts.append(Text(f"  {endpoint.sentence}"))
    if endpoint.url:
        parts.append(Text(f"  {endpoint.url}"))
    if endpoint.is_open:
        parts.append(Text("  open: whoever reaches the gateway may ask it", style=_BUSY))
    traffic = ", ".join(f"v{share['version']} {share['percent']} %" for share in endpoint.traffic)
    parts.append(Text(f"  traffic: {traffic or 'none'}"))
    for replica in endpoint.replicas:
        failure = f"  {replica['failure']}" if replica.get("failure") else ""
        parts.append(
            Text(
                f"  {replica.get('id')}  v{replica.get('version')}  {replica.get('state')}{failure}"
            )
        )
    if rollout:
        parts.append(rollout_view(rollout))
    return Group(*parts)


def _step(step: dict[str, Any]) -> str:
    mark = _STEP_MARKS.get(str(step.get("state")), "·")
    return f"{mark} {step.get('label') or step.get('kind')}"
