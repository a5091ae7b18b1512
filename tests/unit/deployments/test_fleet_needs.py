"""Which replicas are needed, and what to start and stop for it."""

from __future__ import annotations

from dataclasses import replace

from deployments.domain.fleet import (
    Changes,
    Crashes,
    Need,
    Replica,
    ReplicaState,
    Start,
    Stop,
    changes,
    kept_elsewhere,
    needs,
)
from deployments.domain.rollout import Outcome, Phase, Split
from tests.unit.deployments.worlds import (
    BAKING,
    BLUE,
    EXPOSED,
    GREEN,
    PENDING,
    PROMOTED,
    PROVISIONING,
    SPEC,
)

NOW = 100.0
REVERTED = replace(PROMOTED, outcome=Outcome.REVERTED, split=Split())
BACK = replace(SPEC, target=BLUE, stable=GREEN, replicas=1)


def copy(slot: int, state: ReplicaState = ReplicaState.READY, release: str = GREEN) -> Replica:
    return Replica(f"{release}-{slot}", release, slot, state)


def test_a_pending_rollout_needs_nothing_yet() -> None:
    assert needs(BLUE, 2, [(SPEC, PENDING)]) == {BLUE: Need(2)}


def test_an_active_one_needs_its_target_and_keeps_the_old_release_warm() -> None:
    for status in (PROVISIONING, BAKING):
        found = needs(BLUE, 2, [(SPEC, status)])
        assert found == {BLUE: Need(2, hold=True), GREEN: Need(2)}


def test_what_drains_is_held_and_not_restarted() -> None:
    assert needs(GREEN, 2, [(SPEC, PROMOTED)]) == {GREEN: Need(2), BLUE: Need(0, hold=True)}
    assert needs(BLUE, 2, [(SPEC, REVERTED)]) == {BLUE: Need(2), GREEN: Need(0, hold=True)}


def test_what_is_drained_is_needed_by_nobody() -> None:
    assert needs(GREEN, 2, [(SPEC, replace(PROMOTED, released=True))]) == {GREEN: Need(2)}
    assert needs(GREEN, 2, [(SPEC, replace(PROMOTED, phase=Phase.DONE))]) == {GREEN: Need(2)}


def test_a_rollback_to_what_drains_finds_it_warm() -> None:
    found = needs(GREEN, 2, [(SPEC, PROMOTED), (BACK, PROVISIONING)])
    assert found[BLUE] == Need(1, hold=True)
    warm = [copy(0, release=BLUE), copy(1, release=BLUE)]
    assert changes({BLUE: found[BLUE]}, warm, NOW) == Changes()


def test_an_aborted_first_deployment_leaves_no_needs() -> None:
    first = replace(SPEC, stable=None)
    assert needs(None, 0, [(first, replace(REVERTED, released=True))]) == {}


def test_missing_copies_are_started_in_the_free_slots() -> None:
    wanted = changes({GREEN: Need(3)}, [copy(1)], NOW)
    assert wanted.start == (Start(GREEN, 0), Start(GREEN, 2))
    assert not wanted.stop


def test_a_failed_copy_is_cleared_away_and_replaced() -> None:
    wanted = changes({GREEN: Need(2)}, [copy(0, ReplicaState.FAILED), copy(1)], NOW)
    assert wanted == Changes((Start(GREEN, 0),), (Stop(f"{GREEN}-0", GREEN),))


def test_a_copy_that_stops_keeps_its_slot_until_it_is_gone() -> None:
    wanted = changes({GREEN: Need(1)}, [copy(0, ReplicaState.STOPPING)], NOW)
    assert wanted == Changes((Start(GREEN, 1),))


def test_too_many_copies_lose_the_ones_that_are_not_ready_first() -> None:
    present = [copy(0, ReplicaState.STARTING), copy(1), copy(2)]
    assert changes({GREEN: Need(2)}, present, NOW).stop == (Stop(f"{GREEN}-0", GREEN),)


def test_what_nobody_needs_is_stopped_once() -> None:
    assert changes({}, [copy(0)], NOW).stop == (Stop(f"{GREEN}-0", GREEN),)
    assert changes({}, [copy(0, ReplicaState.STOPPING)], NOW) == Changes()


def test_a_crash_loop_is_slowed_down() -> None:
    def start_after(count: int, seconds: float) -> Changes:
        return changes({GREEN: Need(1)}, [], NOW, {GREEN: Crashes(count, NOW - seconds)})

    assert start_after(1, 0).start
    assert start_after(2, 0.5) == Changes(again_at=NOW + 0.5)
    assert start_after(2, 1).start
    assert not start_after(5, 7.5).start
    assert start_after(50, 30).start, "and never for longer than half a minute"


def test_the_order_of_what_is_present_does_not_matter() -> None:
    present = [copy(0), copy(1), copy(2, ReplicaState.FAILED)]
    one, other = (changes({GREEN: Need(1)}, rows, NOW) for rows in (present, present[::-1]))
    assert set(one.stop) == set(other.stop)
    assert one.start == other.start


def test_only_who_will_drain_it_later_keeps_a_release() -> None:
    sending = replace(EXPOSED, phase=Phase.STEPPING, split=Split(100))
    assert kept_elsewhere(GREEN, []) == {GREEN}
    assert kept_elsewhere(GREEN, [(BACK, EXPOSED)]) == {GREEN}
    assert kept_elsewhere(GREEN, [(BACK, sending)]) == {GREEN, BLUE}
    assert kept_elsewhere(GREEN, [(SPEC, PROMOTED)]) == {GREEN}
    assert kept_elsewhere(None, []) == frozenset()
