"""What a measurement gives, how it is told and where it is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """`bound` is the most that it may be; None where nothing was promised."""

    name: str
    figure: float
    unit: str
    bound: float | None = None

    @property
    def holds(self) -> bool:
        return self.bound is None or self.figure <= self.bound


def show(figures: Sequence[Figure], console: Console) -> None:
    table = Table(title="Measured here, now", title_justify="left")
    table.add_column("what")
    for title in ("figure", "bound"):
        table.add_column(title, justify="right")
    table.add_column("holds")
    for each in figures:
        bound = "" if each.bound is None else f"≤ {each.bound:g} {each.unit}"
        verdict = "" if each.bound is None else ("yes" if each.holds else "[bold red]NO[/]")
        table.add_row(each.name, f"{each.figure:.3g} {each.unit}".rstrip(), bound, verdict)
    console.print(table)


def keep(figures: Sequence[Figure], path: Path) -> None:
    """Write this run's figures; those of groups that were not run stay as they were."""
    fresh = {each.name for each in figures}
    rows = [row for row in _kept(path) if row["name"] not in fresh]
    rows += [asdict(each) | {"holds": each.holds} for each in figures]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=2) + "\n")


def _kept(path: Path) -> list[dict[str, object]]:
    try:
        rows: list[dict[str, object]] = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    return rows
