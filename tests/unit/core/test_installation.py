"""Which Slipway this is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from core import installation


def test_every_program_of_a_home_reads_the_same_id(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        seen = set(pool.map(installation.identity.__wrapped__, [tmp_path / "home"] * 40))
    assert len(seen) == 1
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["installation"]


def test_two_homes_are_two_slipways(tmp_path: Path) -> None:
    assert installation.identity(tmp_path / "one") != installation.identity(tmp_path / "two")
