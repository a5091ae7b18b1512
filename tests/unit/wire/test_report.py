from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.wire.strategies import fine_histograms
from wire.errors import NotCumulative, Unreadable
from wire.histogram import Histogram
from wire.report import OUTCOMES, Counts, Latency, Process, Report, difference

small = st.integers(0, 1000)
requests = st.fixed_dictionaries(dict.fromkeys(OUTCOMES, small))
refused = st.dictionaries(
    st.sampled_from(["input:shape", "server:busy", "path:unknown"]), st.integers(1, 9)
)
latencies = st.builds(Latency, fine_histograms, fine_histograms, fine_histograms)
keys = st.dictionaries(st.sampled_from(["key_alice", "key_bob", "other"]), st.integers(1, 9))
counts = st.builds(Counts, requests, refused, small, small, latencies, keys)


def report(counts: Counts, **changes: Any) -> Report:
    plain = Report(
        replica="rep_01JD0000000000000000000001",
        release="rel_01JD0000000000000000000001",
        boot_id="boot-1",
        sequence=1,
        at=1000.0,
        uptime=10.0,
        counts=counts,
        in_flight=0,
        ready=True,
        process=Process(rss_bytes=80_000_000, cpu_seconds=1.5),
    )
    return replace(plain, **changes)


@given(counts)
def test_a_report_survives_the_wire(counted: Counts) -> None:
    sent = report(counted)
    assert Report.from_json(json.loads(json.dumps(sent.to_json()))) == sent


@given(counts, counts)
def test_what_came_after_a_report_is_its_difference_to_the_next(
    before: Counts, after: Counts
) -> None:
    earlier = report(before)
    later = report(before.merge(after), sequence=2, at=1001.0, uptime=11.0)
    interval = difference(later, earlier)
    assert interval.counts == after
    assert (interval.started_at, interval.ended_at) == (1000.0, 1001.0)


@given(counts)
def test_the_first_report_tells_everything_since_the_boot(counted: Counts) -> None:
    interval = difference(report(counted), None)
    assert interval.counts == counted
    assert interval.started_at == 990.0


@given(st.lists(counts, min_size=2, max_size=5), st.data())
def test_a_missed_pull_loses_nothing(steps: list[Counts], data: st.DataObject) -> None:
    """However many of the reports were pulled, their differences add up to the last one."""
    reports: list[Report] = []
    so_far = Counts()
    for number, step in enumerate(steps, start=1):
        so_far = so_far.merge(step)
        reports.append(report(so_far, sequence=number, at=1000.0 + number))
    pulled = [r for r in reports[:-1] if data.draw(st.booleans())] + [reports[-1]]
    total, last = Counts(), None
    for seen in pulled:
        total, last = total.merge(difference(seen, last).counts), seen
    assert total == so_far


@given(counts, counts, counts)
def test_counts_merge_in_any_order(a: Counts, b: Counts, c: Counts) -> None:
    assert a.merge(b).merge(c) == c.merge(a.merge(b)) == a.merge(b.merge(c))
    assert a.merge(Counts()) == a


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"boot_id": "boot-2"}, "report:other-boot"),
        ({"replica": "rep_other"}, "report:other-boot"),
        ({"sequence": 2}, "report:not-later"),
        ({"sequence": 1}, "report:not-later"),
    ],
)
def test_a_report_that_does_not_follow_is_refused(change: dict[str, Any], code: str) -> None:
    earlier = report(Counts(), sequence=2)
    with pytest.raises(NotCumulative) as refusal:
        difference(report(Counts(), **({"sequence": 3} | change)), earlier)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    "more",
    [
        Counts(requests={"2xx": 1, "4xx": 0, "5xx": 0}),
        Counts(refused={"input:shape": 1}),
        Counts(smoke=1),
        Counts(rows=1),
        Counts(keys={"key_alice": 1}),
    ],
)
def test_counters_never_go_back(more: Counts) -> None:
    with pytest.raises(NotCumulative) as refusal:
        difference(report(Counts(), sequence=2), report(more))
    assert refusal.value.code == "report:not-cumulative"


def test_a_clock_that_was_set_back_does_not_turn_an_interval_around() -> None:
    interval = difference(report(Counts(), sequence=2, at=900.0), report(Counts(), at=1000.0))
    assert interval.started_at == interval.ended_at == 900.0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"format": 3}, "report:unsupported-format"),
        ({"sequence": 0}, "report:invalid"),
        ({"requests": {"2xx": 1}}, "report:invalid"),
        ({"refused": {"": 1}}, "report:invalid"),
        ({"keys": {"key_alice": -1}}, "report:invalid"),
        ({"ready": 1}, "report:invalid"),
        ({"at": float("nan")}, "report:invalid"),
        ({"process": {"rss_bytes": 1}}, "report:invalid"),
        ({"latency": {"total": Histogram().to_json()}}, "report:invalid"),
        ({"unknown": 1}, "report:invalid"),
    ],
)
def test_what_is_no_report_is_unreadable(change: dict[str, Any], code: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        Report.from_json(report(Counts()).to_json() | change)
    assert refusal.value.code == code


def test_a_replica_that_is_older_than_the_keys_is_read() -> None:
    old = report(Counts()).to_json() | {"format": 1}
    del old["keys"]
    assert Report.from_json(old) == report(Counts())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from(sorted(report(Counts()).to_json())), json_values)
def test_any_value_in_any_field_is_read_or_unreadable(name: str, value: object) -> None:
    with contextlib.suppress(Unreadable):
        read = Report.from_json(report(Counts()).to_json() | {name: value})
        assert read.to_json()[name] == value
