from __future__ import annotations

import itertools
import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.wire.strategies import durations, fine_histograms, histograms, recorded
from wire.errors import NotCumulative, Unreadable
from wire.histogram import (
    MAX_BUCKETS,
    MAX_SCALE,
    Histogram,
    Recorder,
    bucket_bounds,
    bucket_index,
    difference,
    merge_all,
)

ROUNDING = 1e-12  # log2 and exp2 are each off by at most a few units in the last place


def exact_quantile(values: list[float], q: float) -> float:
    return sorted(values)[max(1, math.ceil(q * len(values))) - 1]


@given(histograms, histograms, histograms)
def test_merging_is_associative(a: Histogram, b: Histogram, c: Histogram) -> None:
    assert a.merge(b).merge(c) == a.merge(b.merge(c))


@given(histograms, histograms)
def test_merging_is_commutative_and_the_empty_histogram_changes_nothing(
    a: Histogram, b: Histogram
) -> None:
    assert a.merge(b) == b.merge(a)
    assert a.merge(Histogram()) == a


@given(st.lists(st.lists(durations, max_size=10), max_size=6))
def test_merging_parts_gives_the_histogram_of_the_whole(parts: list[list[float]]) -> None:
    whole = recorded(list(itertools.chain.from_iterable(parts)))
    assert merge_all(recorded(part) for part in parts) == whole


@given(fine_histograms, fine_histograms)
def test_a_difference_undoes_a_merge_at_equal_scale(a: Histogram, b: Histogram) -> None:
    assert a.scale == b.scale == MAX_SCALE
    assert difference(a.merge(b), a) == b


@given(histograms, histograms)
def test_a_difference_undoes_a_merge_but_for_the_resolution_that_was_lost(
    a: Histogram, b: Histogram
) -> None:
    merged = a.merge(b)
    undone = difference(merged, a)
    assert undone.count == b.count
    assert undone.sum_ns == b.sum_ns
    if b.counts:
        assert undone == b.at_scale(undone.scale)


@given(st.lists(durations, max_size=30), st.lists(durations, max_size=30))
def test_the_differences_of_snapshots_add_up_to_the_last_one(
    first: list[float], second: list[float]
) -> None:
    recorder = Recorder()
    snapshots = [recorder.snapshot()]
    for values in (first, second):
        for value in values:
            recorder.record(value)
        snapshots.append(recorder.snapshot())
    steps = [difference(later, earlier) for earlier, later in itertools.pairwise(snapshots)]
    total = merge_all(steps)
    assert (total.count, total.sum_ns) == (snapshots[-1].count, snapshots[-1].sum_ns)


@given(st.lists(durations, min_size=1, max_size=60), st.floats(0.0, 1.0))
@example([0.0], 0.5)
def test_a_quantile_is_within_the_stated_error(values: list[float], q: float) -> None:
    histogram = recorded(values)
    answer = histogram.quantile(q)
    exact = exact_quantile(values, q)
    assert answer is not None
    if exact < 1e-9:
        assert answer == 0.0
    else:
        assert abs(answer - exact) <= exact * (histogram.relative_error + ROUNDING)


def test_the_stated_error_is_what_the_docstring_says() -> None:
    errors = [round(100 * Histogram(scale=scale).relative_error, 1) for scale in (5, 4, 3)]
    assert errors == [1.1, 2.2, 4.3]


def test_an_empty_histogram_has_no_quantile() -> None:
    assert Histogram().quantile(0.5) is None
    with pytest.raises(ValueError, match="between 0 and 1"):
        Histogram().quantile(1.5)


@given(st.lists(durations, max_size=100))
def test_there_are_never_more_buckets_than_allowed(values: list[float]) -> None:
    assert len(recorded(values).counts) <= MAX_BUCKETS


@given(st.floats(min_value=1e-9, max_value=1e6), st.integers(-3, MAX_SCALE))
def test_a_value_lies_in_its_bucket(value: float, scale: int) -> None:
    lower, upper = bucket_bounds(bucket_index(value, scale), scale)
    assert lower * (1 - ROUNDING) < value <= upper * (1 + ROUNDING)


@pytest.mark.parametrize(
    ("value", "index"), [(1.0, -1), (2.0, 31), (4.0, 63), (0.5, -33), (1.01, 0)]
)
def test_a_bucket_includes_its_upper_bound_and_not_its_lower_one(value: float, index: int) -> None:
    assert bucket_index(value) == index


@given(histograms)
def test_it_survives_the_wire(histogram: Histogram) -> None:
    assert Histogram.from_json(json.loads(json.dumps(histogram.to_json()))) == histogram


def test_a_later_histogram_that_counts_less_is_refused() -> None:
    with pytest.raises(NotCumulative) as refusal:
        difference(recorded([0.1]), recorded([0.1, 0.2]))
    assert refusal.value.code == "histogram:not-cumulative"


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 6},
        {"scale": True},
        {"zero": -1},
        {"counts": [1.5]},
        {"counts": [1] * (MAX_BUCKETS + 1), "count": MAX_BUCKETS + 1},
        {"count": 7},
        {"sum": -1},
        {"sum": "1"},
        {"more": 1},
    ],
)
def test_what_is_no_histogram_is_unreadable(change: dict[str, object]) -> None:
    with pytest.raises(Unreadable) as refusal:
        Histogram.from_json(recorded([0.1, 0.2]).to_json() | change)
    assert refusal.value.code == "histogram:invalid"
