"""Dividing replicas among collectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.shards import Shard, phase


@given(st.text(min_size=1), st.integers(1, 20))
def test_every_replica_belongs_to_exactly_one_shard(name, of):
    assert sum(Shard(index, of).holds(name) for index in range(of)) == 1


def test_the_division_is_the_same_in_every_process():
    held = [n for n in range(6) if Shard(0, 2).holds(f"rep_{n}")]
    assert held == [0, 1, 2]


@given(st.text(min_size=1))
def test_a_phase_lies_within_its_second(name):
    assert 0.0 <= phase(name) < 1.0


def test_a_shard_is_read_as_it_is_written():
    assert Shard.parse("3/8") == Shard(3, 8)
    assert str(Shard(3, 8)) == "3/8"


@pytest.mark.parametrize("text", ["", "1", "2/2", "-1/2", "a/b", "0/0", "1/2/3"])
def test_a_shard_that_does_not_exist_is_refused(text):
    with pytest.raises(ValueError, match=r"shard|collectors"):
        Shard.parse(text)
