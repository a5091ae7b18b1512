"""Strict reading of JSON objects: every field named, typed and bounded; nothing unknown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from wire.errors import Unreadable

MAX_COUNT = 2**53 - 1  # the largest integer that every JSON reader keeps exact
DEFAULT_TEXT = 4096


class Fields:
    """One JSON object being read. Each getter takes a field once; `close` refuses what is left.

    `kind` is the first half of the error code (`manifest`, `report`, ...); `where` names the object
    in the sentence.
    """

    def __init__(self, raw: object, *, kind: str, where: str) -> None:
        self._kind = kind
        self._where = where
        if not isinstance(raw, Mapping):
            raise self.refusal("is not a JSON object")
        self._left: dict[str, object] = {}
        for key, value in raw.items():
            if not isinstance(key, str):
                raise self.refusal("has a key that is not text")
            self._left[key] = value

    def refusal(self, problem: str) -> Unreadable:
        """The error to raise for a problem with this object as a whole."""
        return Unreadable(f"{self._kind}:invalid", f"The {self._where} {problem}.")

    def has(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str) -> object:
        if name not in self._left:
            raise self.refusal(f"lacks the field `{name}`")
        return self._left.pop(name)

    def text(self, name: str, *, longest: int = DEFAULT_TEXT, empty: bool = False) -> str:
        value = self.take(name)
        # A database cannot keep a NUL; whoever sends one means mischief.
        plain = isinstance(value, str) and len(value) <= longest and "\x00" not in value
        if not isinstance(value, str) or not plain or (not value and not empty):
            raise self.refusal(f"has a `{name}` that is not a text of at most {longest} characters")
        return value

    def whole(self, name: str, *, low: int = 0, high: int = MAX_COUNT) -> int:
        return self.check_whole(self.take(name), name, low=low, high=high)

    def check_whole(self, value: object, name: str, *, low: int = 0, high: int = MAX_COUNT) -> int:
        """`value` as an integer; true and false are not integers here."""
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.refusal(f"has a `{name}` that is not a whole number from {low} to {high}")
        return value

    def number(self, name: str, *, low: float = 0.0, high: float = math.inf) -> float:
        value = self.take(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refusal(f"has a `{name}` that is not a number")
        if not math.isfinite(value) or not low <= value <= high:
            raise self.refusal(f"has a `{name}` that is out of range")
        return float(value)

    def flag(self, name: str) -> bool:
        value = self.take(name)
        if not isinstance(value, bool):
            raise self.refusal(f"has a `{name}` that is neither true nor false")
        return value

    def items(self, name: str, *, longest: int) -> list[object]:
        value = self.take(name)
        if not isinstance(value, list) or len(value) > longest:
            raise self.refusal(f"has a `{name}` that is not a list of at most {longest} entries")
        return value

    def counters(
        self, name: str, *, longest: int, allowed: Iterable[str] | None = None
    ) -> dict[str, int]:
        """A map from text to counts; with `allowed`, exactly these keys and no other."""
        value = self.take(name)
        if not isinstance(value, Mapping) or len(value) > longest:
            raise self.refusal(f"has a `{name}` that is not a map of at most {longest} counters")
        if allowed is not None and set(value) != set(allowed):
            raise self.refusal(f"has a `{name}` with other keys than {', '.join(sorted(allowed))}")
        counted: dict[str, int] = {}
        for key, count in value.items():
            if not isinstance(key, str) or not 0 < len(key) <= 100:
                raise self.refusal(f"has a `{name}` with a key that is not a short text")
            counted[key] = self.check_whole(count, f"{name}.{key}")
        return counted

    def close(self) -> None:
        if self._left:
            raise self.refusal(f"has an unknown field `{min(self._left)}`")
