"""Which collector looks after what: a stable hash, so that every process gives the same answer."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_FORM = re.compile(r"(\d{1,4})/(\d{1,4})")


@dataclass(frozen=True, slots=True)
class Shard:
    """The `index`-th of `of` collectors, from 0."""

    index: int = 0
    of: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.of:
            raise ValueError(f"of {self.of} collectors there is none with the number {self.index}")

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """`0/1` and the like; ValueError says what is wrong."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(f"a shard is written as 0/1, 1/4 and so on, not {text!r}")
        return cls(int(match[1]), int(match[2]))

    def holds(self, key: str) -> bool:
        return _number(key) % self.of == self.index


def phase(key: str) -> float:
    """A fixed fraction in [0, 1) per key, to spread work over a second."""
    return _number(key) / 2**32


def _number(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest())
