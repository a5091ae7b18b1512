"""What waits for one slow browser stays small, and says what must be said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from frontend.coalescer import MOST_EVENTS, Coalescer


def test_of_chart_frames_only_the_newest_of_each_topic_is_kept() -> None:
    waiting = Coalescer()
    waiting.frame("a", {"at": 1})
    waiting.frame("b", {"at": 1})
    waiting.frame("a", {"at": 2})
    assert [(each["topic"], each["points"]["at"]) for each in waiting.take()] == [
        ("a", 2),
        ("b", 1),
    ]


def test_events_are_never_coalesced() -> None:
    waiting = Coalescer()
    for revision in (1, 2, 2):
        waiting.event("a", revision)
    assert [each["revision"] for each in waiting.take()] == [1, 2, 2]


def test_too_many_events_become_one_hint_to_fetch_everything() -> None:
    waiting = Coalescer()
    for revision in range(MOST_EVENTS + 10):
        waiting.event("a", revision)
    waiting.frame("a", {"at": 1})
    assert [each["type"] for each in waiting.take()] == ["snapshot", "frame"]
    waiting.event("a", 1)
    assert [each["type"] for each in waiting.take()] == ["changed"]


def test_nothing_waits_after_it_was_taken() -> None:
    waiting = Coalescer()
    assert not waiting
    waiting.event("a", 1)
    assert waiting
    waiting.take()
    assert not waiting
    assert waiting.take() == []


def test_a_topic_that_was_left_is_forgotten() -> None:
    waiting = Coalescer()
    waiting.event("a", 1)
    waiting.frame("a", {})
    waiting.event("b", 1)
    waiting.forget("a")
    assert [each["topic"] for each in waiting.take()] == ["b"]


@given(st.lists(st.tuples(st.sampled_from("ef"), st.sampled_from("abc")), max_size=2_000))
def test_what_waits_is_bounded_whatever_arrives(arrivals: list[tuple[str, str]]) -> None:
    waiting = Coalescer(most_events=10)
    for kind, topic in arrivals:
        if kind == "e":
            waiting.event(topic, 1)
        else:
            waiting.frame(topic, {})
    assert len(waiting.take()) <= 10 + 3
