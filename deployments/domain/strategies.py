"""A strategy as people write it, in JSON, to the strategy that `plan` compiles. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployments.domain.plan import BlueGreen

MAX_BAKE_SECONDS = 3600.0
BLUE_GREEN = "blue-green"
_FIELDS = frozenset({"kind", "bake_seconds", "pause_before_switch"})


class BadStrategy(ValueError):
    """`pointer` is the JSON pointer of the wrong place, `code` is stable, the text a sentence."""

    def __init__(self, pointer: str, code: str, message: str) -> None:
        super().__init__(message)
        self.pointer = pointer
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Parsed:
    """The strategy, and the JSON to keep: with every default filled in."""

    strategy: BlueGreen
    stored: dict[str, Any]


def parse(given: Mapping[str, Any] | None, *, default_bake: float) -> Parsed:
    """None is blue-green with the environment's bake.

    Raises:
        BadStrategy: an unknown kind or field, or a value out of its bounds.
    """
    given = given or {}
    kind = given.get("kind", BLUE_GREEN)
    if kind != BLUE_GREEN:
        raise BadStrategy(
            "/strategy/kind",
            "strategy:unknown-kind",
            f"There is no strategy {str(kind)[:40]!r}; use {BLUE_GREEN!r}.",
        )
    for name in given.keys() - _FIELDS:
        raise BadStrategy(
            f"/strategy/{name}", "unknown_field", f"A strategy has no field {str(name)[:40]!r}."
        )
    bake = given.get("bake_seconds", default_bake)
    if (
        isinstance(bake, bool)
        or not isinstance(bake, int | float)
        or not 0 <= bake <= MAX_BAKE_SECONDS
    ):
        raise BadStrategy(
            "/strategy/bake_seconds",
            "strategy:bake-out-of-bounds",
            f"The bake takes 0 to {MAX_BAKE_SECONDS:g} seconds.",
        )
    ask = given.get("pause_before_switch", False)
    if not isinstance(ask, bool):
        raise BadStrategy(
            "/strategy/pause_before_switch",
            "strategy:not-a-boolean",
            "`pause_before_switch` is true or false.",
        )
    stored = {"kind": BLUE_GREEN, "bake_seconds": float(bake), "pause_before_switch": ask}
    return Parsed(BlueGreen(float(bake), ask), stored)
