"""Windows as charts want them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.series import (
    MOST_POINTS,
    Sample,
    Totals,
    covered,
    points,
    step_for,
    summary,
    totals,
)
from wire.histogram import Recorder, merge_all


def latency(*seconds):
    recorder = Recorder()
    for value in seconds:
        recorder.record(value)
    return recorder.snapshot()


def second(end, requests=0, **more):
    return Sample(end - 1, end, requests, **more)


def test_a_point_per_second_says_rates_and_quantiles():
    (point,) = points([second(101, 4, errors=1, latency=latency(0.001, 0.002, 0.002, 0.1))], 1)

    assert (point.t, point.seconds) == (101, 1)
    assert (point.requests_per_second, point.errors_per_second) == (4.0, 1.0)
    assert abs(point.p50_ms - 2) < 0.05
    assert abs(point.p99_ms - 100) < 2


def test_seconds_are_merged_into_longer_steps():
    found = points([second(end, 3) for end in range(101, 121)], 10)

    assert [(p.t, p.seconds, p.requests_per_second) for p in found] == [
        (110, 10, 3.0),
        (120, 10, 3.0),
    ]


def test_quantiles_of_merged_seconds_are_those_of_all_requests():
    slow, fast = latency(*[0.1] * 10), latency(*[0.001] * 990)
    (point,) = points([second(101, 10, latency=slow), second(102, 990, latency=fast)], 60)

    both = merge_all([slow, fast])
    assert point.p95_ms == round(both.quantile(0.95) * 1000, 3)
    assert point.p95_ms < 1.1  # an average of quantiles would say 50


def test_a_gap_is_drawn_from_to_and_not_spread():
    gap = Sample(101, 111, 50)
    found = points([second(101, 9), gap, second(112, 9)], 1)

    assert [(p.t, p.seconds, p.requests_per_second) for p in found] == [
        (101, 1, 9.0),
        (111, 10, 5.0),
        (112, 1, 9.0),
    ]


def test_what_overlaps_a_gap_is_merged_with_it():
    found = points([Sample(101, 111, 50), second(105, 10), second(112, 2)], 1)

    assert [(p.t, p.seconds, p.requests_per_second) for p in found] == [(111, 10, 6.0), (112, 1, 2)]


def test_a_step_that_is_not_over_counts_only_the_time_that_was_measured():
    (point,) = points([second(end, 6) for end in (101, 102, 103)], 60)

    assert (point.seconds, point.requests_per_second) == (3, 6.0)


def test_two_collectors_speak_about_one_second_once():
    assert covered([second(101, 1), second(101, 2), second(103, 1)]) == 2
    (point,) = points([second(101, 1), second(101, 2)], 1)
    assert point.requests_per_second == 3.0


@given(
    st.lists(
        st.tuples(st.integers(0, 900), st.integers(1, 30), st.integers(0, 50)),
        min_size=1,
        max_size=60,
    ),
    st.sampled_from([1, 5, 60]),
)
def test_no_request_is_lost_or_drawn_twice(windows, step):
    samples = [Sample(start, start + length, requests) for start, length, requests in windows]
    found = points(samples, step)

    drawn = sum(point.requests_per_second * point.seconds for point in found)
    assert abs(drawn - sum(requests for *_, requests in windows)) < 0.05 * len(found) * 30
    assert [point.t for point in found] == sorted({point.t for point in found})


@given(st.integers(10, 86400))
def test_no_line_has_more_points_than_a_chart_may_have(seconds):
    assert seconds / step_for(seconds) <= MOST_POINTS


def test_the_sentence_names_failures_and_mistakes_of_clients_apart():
    samples = [second(101, 1200, errors=3, client_errors=4, latency=latency(*[0.002] * 1200))]

    assert summary(totals(samples), 300) == (
        "1,200 requests in the last 5 minutes, 3 failed, 4 refused as wrong;"
        " half took up to 2.0 ms, 99 % up to 2.0 ms."
    )
    assert summary(Totals(), 60) == "No requests in the last 60 seconds."
    assert summary(Totals(), 7200) == "No requests in the last 2 hours."
