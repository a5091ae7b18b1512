"""What polls say; see deployments/domain/acknowledgement.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain.acknowledgement import (
    MAX_SERVED,
    Answer,
    PollState,
    answer,
    hear,
    offer_again,
    parse_version,
)


def served_in_vain(named: int | None, current: int, state: PollState | None = None) -> PollState:
    state = state or PollState()
    for _ in range(MAX_SERVED):
        judged = hear(state, named, current)
        assert judged.answer is Answer.SERVE
        assert not judged.newly_rejected
        state = judged.state
    return state


def test_a_gateway_that_starts_from_nothing_is_served() -> None:
    judged = hear(PollState(), None, 5)
    assert judged.answer is Answer.SERVE
    assert judged.state == PollState(served=5, served_count=1)
    assert not judged.is_news


def test_naming_what_was_served_acknowledges_it_once() -> None:
    first = hear(PollState(served=5, served_count=1), 5, 5)
    assert (first.answer, first.newly_acked, first.state.acked) == (Answer.HOLD, True, 5)
    again = hear(first.state, 5, 5)
    assert (again.answer, again.is_news) == (Answer.HOLD, False)


def test_an_acknowledgement_counts_also_when_there_is_something_newer() -> None:
    judged = hear(PollState(served=5, served_count=1), 5, 6)
    assert (judged.answer, judged.newly_acked, judged.state.acked) == (Answer.SERVE, True, 5)
    assert judged.state.served == 6


def test_an_older_version_is_a_rejection_only_after_repeated_serving() -> None:
    state = served_in_vain(4, 5)
    judged = hear(state, 4, 5)
    assert (judged.answer, judged.newly_rejected, judged.state.rejected) == (Answer.HOLD, True, 5)
    assert judged.state.acked == 4
    again = hear(judged.state, 4, 5)
    assert (again.answer, again.newly_rejected) == (Answer.HOLD, False)


def test_a_held_rejection_ends_with_the_next_snapshot() -> None:
    rejected = hear(served_in_vain(4, 5), 4, 5).state
    judged = answer(rejected, 4, 6)
    assert judged.answer is Answer.SERVE
    assert judged.state.rejected == 5
    assert hear(judged.state, 6, 6).newly_acked


def test_a_late_acknowledgement_takes_the_rejection_back() -> None:
    rejected = hear(served_in_vain(4, 5), 4, 5).state
    judged = hear(rejected, 5, 5)
    assert judged.newly_acked
    assert judged.state.rejected is None


def test_restarts_from_an_older_snapshot_never_add_up_to_a_rejection() -> None:
    state = PollState()
    for _ in range(3 * MAX_SERVED):
        started = hear(state, 4, 5)
        assert started.answer is Answer.SERVE
        state = hear(started.state, 5, 5).state
    assert state.rejected is None


def test_restarts_from_nothing_never_add_up_to_a_rejection() -> None:
    state = PollState()
    for _ in range(3 * MAX_SERVED):
        started = hear(state, None, 5)
        assert (started.answer, started.state.acked) == (Answer.SERVE, None)
        state = hear(started.state, 5, 5).state
    assert state.rejected is None


def test_a_gateway_without_any_configuration_is_offered_a_rejected_one_again_after_a_hold() -> None:
    rejected = hear(served_in_vain(None, 5), None, 5)
    assert (rejected.answer, rejected.newly_rejected) == (Answer.HOLD, True)
    assert offer_again(rejected.state, None, 5).answer is Answer.SERVE


@pytest.mark.parametrize("named", [4, 5])
def test_a_gateway_with_a_configuration_is_offered_nothing_after_a_hold(named: int) -> None:
    state = PollState(served=5, served_count=MAX_SERVED, acked=4, rejected=5)
    assert offer_again(state, named, 5).answer is Answer.HOLD


def test_a_held_poll_never_takes_an_acknowledgement_back() -> None:
    """Its connection may be dead, and a later poll may have told more."""
    state = PollState(served=6, served_count=0, acked=6)
    assert answer(state, 5, 7).state.acked == 6


def test_a_gateway_that_names_what_is_newer_than_ours_is_served_ours() -> None:
    """The database was restored from a backup."""
    assert hear(PollState(), 9, 5).answer is Answer.SERVE


@pytest.mark.parametrize("text", ["", "abc", "-1", "1.0", "٣", "0x1", "9" * 19])
def test_what_is_no_generation_counts_as_nothing(text: str) -> None:
    assert parse_version(text) is None


@given(
    st.lists(
        st.tuples(st.sampled_from(["publish", "poll", "lose", "restart"]), st.booleans()),
        max_size=60,
    )
)
def test_a_willing_gateway_always_gets_there_and_is_never_rejected(
    steps: list[tuple[str, bool]],
) -> None:
    """Answers are lost less than MAX_SERVED times in a row; everything else may happen."""
    state, current, runs, lost = PollState(), 1, None, 0
    for step, keeps_disk in steps:
        if step == "publish":
            current += 1
        elif step == "restart":
            # One that dies before it tells what it took looks like one that refuses to take it.
            runs = None if state.acked == runs and not keeps_disk else runs
        else:
            judged = hear(state, runs, current)
            state = judged.state
            if judged.answer is Answer.SERVE:
                lost = lost + 1 if step == "lose" and lost < MAX_SERVED - 2 else 0
                runs = runs if lost else current
        assert state.rejected is None
    for _ in range(MAX_SERVED):
        judged = hear(state, runs, current)
        state = judged.state
        runs = current if judged.answer is Answer.SERVE else runs
    assert (state.acked, state.rejected) == (current, None)
