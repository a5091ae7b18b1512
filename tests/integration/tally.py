"""The load client as tests use it, and what it counted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from tests.running import ROOT

ROWS = ROOT / "demo" / "models" / "rows.json"


@dataclass(frozen=True, slots=True)
class Attempt:
    """`status` is 0 where no answer came. `problem` says why it is no prediction."""

    began: float
    ended: float
    status: int
    version: str
    problem: str

    @property
    def answered(self) -> bool:
        return self.status == 200 and not self.problem

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    def flew_at(self, moment: float) -> bool:
        return self.began <= moment <= self.ended


@dataclass(slots=True)
class Tally:
    """Empty until the load has ended."""

    attempted: int = 0
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def failed(self) -> list[Attempt]:
        return [each for each in self.attempts if not each.answered]

    @property
    def answered(self) -> list[Attempt]:
        return [each for each in self.attempts if each.answered]

    def versions(self, *, after: float = 0.0) -> set[str]:
        """Who answered what was asked after this moment."""
        return {each.version for each in self.answered if each.began > after}

    def told(self) -> str:
        why = Counter(f"{each.status} {each.problem}" for each in self.failed)
        return f"{self.attempted} attempted, {len(self.failed)} failed: {dict(why)}"

    def require_all_answered(self) -> None:
        """Every attempt has an outcome, and every outcome is an answer with 200."""
        assert self.attempted == len(self.attempts) > 0
        assert self.attempted == len(self.answered), self.told()

    def longest_silence(self) -> float:
        """The longest time between two answers, whichever connections they came on."""
        ends = sorted(each.ended for each in self.answered)
        return max((later - earlier for earlier, later in pairwise(ends)), default=float("inf"))


def p99(attempts: list[Attempt]) -> float:
    ordered = sorted(each.seconds for each in attempts)
    return ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]


@contextmanager
def load(
    url: str,
    key_file: Path,
    *,
    connections: int = 4,
    pace: float = 0.02,
    seconds: float = 240.0,
) -> Iterator[Tally]:
    """Sends while the block runs; the tally is filled when it has ended."""
    command = [sys.executable, "-m", "tests.integration.load", url, str(ROWS), str(key_file)]
    options = ["--connections", connections, "--pace", pace, "--seconds", seconds]
    client = subprocess.Popen(
        [*command, *map(str, options)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    tally = Tally()
    try:
        yield tally
    finally:
        try:
            said, _ = client.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            client.kill()
            client.communicate()
            raise
    counted = json.loads(said)
    tally.attempted = counted["attempted"]
    tally.attempts = [Attempt(*each) for each in counted["outcomes"]]


@contextmanager
def load_that_must_not_notice(url: str, key_file: Path, *, connections: int = 4) -> Iterator[Tally]:
    """Serving never stops: every attempt made inside is answered with 200."""
    with load(url, key_file, connections=connections) as tally:
        yield tally
    tally.require_all_answered()
