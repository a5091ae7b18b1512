"""A line as small as a word: points for an inline SVG of 120 by 28."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 120
HEIGHT = 28
_INSET = 2


@dataclass(frozen=True, slots=True)
class Sparkline:
    """`line` and `area` are ready for `points=`; empty when there is nothing to draw."""

    line: str
    area: str
    label: str


def sparkline(values: Sequence[float], *, unit: str = "requests/s") -> Sparkline:
    """Scaled from zero to the largest value, so that a flat line is told from no traffic."""
    if not any(values):
        return Sparkline("", "", f"No {unit} in this time.")
    top = max(values)
    step = WIDTH / max(len(values) - 1, 1)
    points = [
        (round(index * step, 1), round(HEIGHT - _INSET - value / top * (HEIGHT - 2 * _INSET), 1))
        for index, value in enumerate(values)
    ]
    line = " ".join(f"{x},{y}" for x, y in points)
    area = f"0,{HEIGHT} {line} {points[-1][0]},{HEIGHT}"
    low, last = min(values), values[-1]
    label = f"{unit}: between {low:.0f} and {top:.0f}, now {last:.0f}"
    return Sparkline(line, area, label)
