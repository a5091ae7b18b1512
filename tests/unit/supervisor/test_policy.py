from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controlplane.supervisor.policy import Backoff, History, Liveness, log_is_full

BACKOFF = Backoff(first=0.2, cap=10.0, calm_after=20.0)


def test_the_first_restart_is_prompt_and_later_ones_wait_longer() -> None:
    assert [BACKOFF.delay(n) for n in (1, 2, 3, 4)] == [0.2, 0.4, 0.8, 1.6]


@given(st.integers(min_value=0, max_value=10_000))
def test_no_wait_is_longer_than_the_cap_or_shorter_than_the_one_before(failures: int) -> None:
    assert BACKOFF.delay(failures) <= BACKOFF.delay(failures + 1) <= BACKOFF.cap


def test_a_program_that_keeps_dying_is_started_ever_more_rarely() -> None:
    history, now, waits = History(), 0.0, []
    for _ in range(8):
        history = history.started(now).died(now + 1, BACKOFF)
        assert history.start_due is not None
        waits.append(round(history.start_due - (now + 1), 3))
        now = history.start_due
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert history.restarts == 8


def test_a_calm_while_forgets_earlier_failures() -> None:
    history = History()
    for start in (0.0, 1.0, 2.0):
        history = history.started(start).died(start + 0.5, BACKOFF)
    calm = history.started(10.0).died(10.0 + BACKOFF.calm_after, BACKOFF)
    assert calm.failures == 1
    assert calm.start_due == 30.2


def test_it_does_not_start_before_it_is_due_nor_twice() -> None:
    died = History().started(0.0).died(1.0, BACKOFF)
    assert not died.may_start(1.1)
    assert died.may_start(1.2)
    assert not died.started(1.2).may_start(99.0)


def test_a_program_that_answered_lately_does_not_hang() -> None:
    liveness = Liveness(silent_for=30, start_grace=60)
    assert not liveness.hangs(now=100, started_at=0, answered_at=80)
    assert liveness.hangs(now=111, started_at=0, answered_at=80)


def test_a_slow_start_is_no_hang_until_its_grace_is_over() -> None:
    liveness = Liveness(silent_for=30, start_grace=60)
    assert not liveness.hangs(now=59, started_at=0, answered_at=None)
    assert liveness.hangs(now=61, started_at=0, answered_at=None)


def test_an_answer_of_the_process_before_says_nothing_about_this_one() -> None:
    liveness = Liveness(silent_for=30, start_grace=60)
    assert not liveness.hangs(now=140, started_at=100, answered_at=90)


def test_a_log_is_full_at_its_cap() -> None:
    assert not log_is_full(9, 10)
    assert log_is_full(10, 10)
