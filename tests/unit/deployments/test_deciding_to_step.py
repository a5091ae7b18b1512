"""Steps: weights, pauses, checks, and what takes the traffic back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployments.domain.decide import decide
from deployments.domain.plan import BlueGreen, Canary, Shadow, compile_steps
from deployments.domain.rollout import (
    Analyse,
    Outcome,
    Phase,
    ReasonCode,
    SetWeight,
    Split,
    Status,
    Waiting,
)
from deployments.domain.world import Verdict
from tests.unit.deployments.worlds import (
    BAKING,
    GREEN,
    NOW,
    ONE,
    SPEC,
    STEPPING,
    SWITCHED,
    TWO,
    counts,
    failure,
    gateways,
    settled_reason,
    waits_for,
    world,
)

ALL = Split(100)
ANALYSING = replace(SPEC, steps=(SetWeight(10), Analyse("errors"), SetWeight(100)))
AT_CHECK = replace(STEPPING, step=1, split=Split(10))


def test_the_switch_is_decided_and_then_waited_for() -> None:
    decision = decide(SPEC, STEPPING, world())
    assert decision.status.split == ALL
    assert (decision.status.step, decision.status.waiting) == (0, Waiting.GATEWAY)
    assert decision.note == "Sending 100 % of the traffic to the new release."


def test_no_step_is_passed_before_the_gateways_agree() -> None:
    assert waits_for(decide(SPEC, SWITCHED, world(Split())), SWITCHED, Waiting.GATEWAY)
    nobody_agrees = world(gateways=gateways(acked=None))
    assert waits_for(decide(SPEC, SWITCHED, nobody_agrees), SWITCHED, Waiting.GATEWAY)


def test_once_they_agree_the_bake_begins() -> None:
    status = decide(SPEC, SWITCHED, world(ALL)).status
    assert (status.step, status.since, status.waiting) == (1, NOW, Waiting.NOTHING)


def test_traffic_moves_only_with_approval() -> None:
    decision = decide(SPEC, STEPPING, world(approved=False))
    assert waits_for(decision, STEPPING, Waiting.APPROVAL)
    assert decision.note == "Waiting for approval."


def test_waiting_for_approval_is_nobodys_delay() -> None:
    waiting = decide(SPEC, STEPPING, world(approved=False)).status
    much_later = world(approved=False, now=NOW + 90_000)
    assert decide(SPEC, waiting, much_later).status == waiting


def test_traffic_does_not_move_while_paused() -> None:
    paused = replace(SPEC, paused=True)
    assert waits_for(decide(paused, STEPPING, world()), STEPPING, Waiting.USER)


def test_traffic_does_not_move_to_replicas_that_are_missing() -> None:
    seen = world(replicas=counts(green=1))
    assert waits_for(decide(SPEC, STEPPING, seen), STEPPING, Waiting.REPLICAS)


def test_a_gateway_that_joined_meanwhile_has_to_reach_the_target_first() -> None:
    seen = world(gateways=gateways(registered=TWO, reached=ONE))
    assert waits_for(decide(SPEC, STEPPING, seen), STEPPING, Waiting.REACH)


def test_a_silent_gateway_freezes_the_step() -> None:
    seen = world(ALL, gateways=gateways(ALL, silent=ONE))
    decision = decide(SPEC, SWITCHED, seen)
    assert waits_for(decision, SWITCHED, Waiting.GATEWAY)
    assert decision.status.frozen_since == NOW
    much_later = replace(seen, now=NOW + 90_000)
    assert decide(SPEC, decision.status, much_later).status == decision.status


def test_a_gateway_that_answers_and_never_agrees_is_not_waited_for_without_end() -> None:
    late = replace(SWITCHED, stalled_for=Waiting.GATEWAY, stalled_since=NOW - 601)
    assert settled_reason(decide(SPEC, late, world(Split()))) is ReasonCode.PROGRESS_DEADLINE


def test_a_gateway_that_rejects_the_weights_takes_them_back() -> None:
    seen = world(gateways=gateways(rejected={"error": "bad route"}))
    assert settled_reason(decide(SPEC, SWITCHED, seen)) is ReasonCode.XDS_NACK


def test_a_bake_takes_its_time() -> None:
    decision = decide(SPEC, BAKING, world(ALL))
    assert waits_for(decision, BAKING, Waiting.TIMER)
    assert decision.again_in == 1
    almost = replace(BAKING, since=NOW - 29.75)
    assert decide(SPEC, almost, world(ALL)).again_in == 0.25


def test_after_the_bake_the_target_is_promoted_in_two_passes() -> None:
    baked = replace(BAKING, since=NOW - 30)
    passed = decide(SPEC, baked, world(ALL)).status
    assert passed.step == 2
    status = decide(SPEC, passed, world(ALL)).status
    assert (status.phase, status.outcome) == (Phase.SETTLING, Outcome.PROMOTED)
    assert status.split == ALL
    assert status.reason is None


def test_promoting_skips_the_rest_of_the_bake() -> None:
    assert decide(replace(SPEC, promoted_through=1), BAKING, world(ALL)).status.step == 2


def test_paused_time_is_not_baked_time() -> None:
    paused = decide(replace(SPEC, paused=True), BAKING, world(ALL)).status
    resumed = decide(SPEC, paused, world(ALL, now=NOW + 100)).status
    assert resumed.waiting is Waiting.TIMER
    assert decide(SPEC, resumed, world(ALL, now=NOW + 119)).status.step == 1
    assert decide(SPEC, resumed, world(ALL, now=NOW + 120)).status.step == 2


def test_nothing_is_promoted_on_the_strength_of_missing_replicas() -> None:
    baked = replace(BAKING, since=NOW - 30)
    seen = world(ALL, replicas=counts(green=1))
    assert waits_for(decide(SPEC, baked, seen), baked, Waiting.REPLICAS)
    at_the_end = replace(baked, step=2)
    assert waits_for(decide(SPEC, at_the_end, seen), at_the_end, Waiting.REPLICAS)


def test_nothing_is_promoted_while_a_gateway_has_forgotten_the_split() -> None:
    baked = replace(BAKING, step=2)
    assert waits_for(decide(SPEC, baked, world(Split())), baked, Waiting.GATEWAY)


def test_a_target_that_lost_some_replicas_while_baking_goes_on() -> None:
    seen = world(ALL, replicas=counts(green=1), failures=(failure("rep_1"),))
    assert waits_for(decide(SPEC, BAKING, seen), BAKING, Waiting.TIMER)


def test_a_target_that_lost_them_all_gives_the_traffic_back() -> None:
    seen = world(ALL, replicas=counts(green=0), failures=(failure("rep_1"), failure("rep_2")))
    decision = decide(SPEC, BAKING, seen)
    assert settled_reason(decision) is ReasonCode.TARGET_LOST
    assert decision.status.reason
    assert decision.status.reason.evidence["replica"] == "rep_2"
    assert decision.status.exposed


def test_unless_nobody_is_there_to_take_it() -> None:
    seen = world(ALL, replicas=counts(green=0, blue=0))
    assert waits_for(decide(SPEC, BAKING, seen), BAKING, Waiting.TIMER)
    alone = replace(SPEC, stable=None)
    assert waits_for(decide(alone, BAKING, world(ALL, replicas={})), BAKING, Waiting.TIMER)


def test_a_silent_host_has_not_lost_anything() -> None:
    seen = world(ALL, replicas=counts(green=0), silent_hosts=frozenset({"north"}))
    assert waits_for(decide(SPEC, BAKING, seen), BAKING, Waiting.HOST)


def test_a_target_that_keeps_crashing_while_baking_is_reverted() -> None:
    crashes = tuple(failure(f"rep_{number}") for number in range(4))
    seen = world(ALL, replicas=counts(green=1), failures=crashes)
    assert settled_reason(decide(SPEC, BAKING, seen)) is ReasonCode.REPLICA_CRASHED


def test_a_copy_that_cannot_load_counts_as_a_crash_once_others_have_loaded() -> None:
    seen = world(ALL, failures=(failure("rep_1", ReasonCode.MODEL_LOAD_FAILED),))
    assert waits_for(decide(SPEC, BAKING, seen), BAKING, Waiting.TIMER)


@pytest.mark.parametrize(
    "code", [ReasonCode.ABORTED, ReasonCode.SUPERSEDED, ReasonCode.ROLLED_BACK]
)
def test_an_abort_is_one_route_change_back(code: ReasonCode) -> None:
    spec = replace(SPEC, aborted=True, abort_code=code, paused=True)
    decision = decide(spec, BAKING, world(ALL))
    assert settled_reason(decision) is code
    assert decision.status.exposed


def test_a_pause_without_end_waits_for_a_person() -> None:
    spec = replace(SPEC, steps=compile_steps(BlueGreen(30, pause_before_switch=True)))
    assert waits_for(decide(spec, STEPPING, world()), STEPPING, Waiting.USER)
    assert decide(replace(spec, promoted_through=0), STEPPING, world()).status.step == 1


@pytest.mark.parametrize(
    ("verdict", "waiting"),
    [(None, Waiting.ANALYSIS), (Verdict.INCONCLUSIVE, Waiting.USER)],
)
def test_a_check_without_a_yes_is_no_yes(verdict: Verdict | None, waiting: Waiting) -> None:
    verdicts: dict[str, Verdict] = {"errors": verdict} if verdict else {}
    seen = world(Split(10), verdicts=verdicts)
    assert waits_for(decide(ANALYSING, AT_CHECK, seen), AT_CHECK, waiting)


def test_a_person_may_go_on_without_data_but_not_against_it() -> None:
    spec = replace(ANALYSING, promoted_through=1)
    unsure = world(Split(10), verdicts={"errors": Verdict.INCONCLUSIVE})
    assert decide(spec, AT_CHECK, unsure).status.step == 2
    failed = world(Split(10), verdicts={"errors": Verdict.FAIL})
    assert settled_reason(decide(spec, AT_CHECK, failed)) is ReasonCode.ANALYSIS_FAILED


def test_a_passed_check_is_passed() -> None:
    seen = world(Split(10), verdicts={"errors": Verdict.PASS})
    assert decide(ANALYSING, AT_CHECK, seen).status.step == 2


def test_less_traffic_needs_no_strength() -> None:
    spec = replace(SPEC, steps=(SetWeight(10), SetWeight(0)))
    at = replace(STEPPING, step=1, split=Split(10))
    seen = world(Split(10), replicas=counts(green=1))
    assert decide(spec, at, seen).status.split == Split()


def test_a_first_deployment_gets_everything_at_once() -> None:
    spec = replace(SPEC, stable=None, steps=compile_steps(Canary((10, 100), (5.0,))))
    assert decide(spec, STEPPING, world()).status.split == ALL


def test_an_abort_of_a_first_deployment_leaves_nothing_routed() -> None:
    spec = replace(SPEC, stable=None, aborted=True)
    assert settled_reason(decide(spec, BAKING, world(ALL))) is ReasonCode.ABORTED


def run_to_the_end(spec: Any, status: Status) -> Status:
    """Everything agrees to everything, and a minute passes between two looks."""
    now = NOW
    for _ in range(40):
        now += 60
        seen = world(status.split, now=now, verdicts={"errors": Verdict.PASS})
        status = decide(spec, status, seen).status
        if status.phase is Phase.SETTLING:
            return status
    raise AssertionError(f"stuck at {status}")


def test_a_canary_climbs_to_all_and_is_promoted() -> None:
    spec = replace(SPEC, steps=compile_steps(Canary((10, 50, 100), (5.0,), ("errors",))))
    assert run_to_the_end(spec, STEPPING).outcome is Outcome.PROMOTED


def test_a_shadow_ends_observed_and_is_still_drained() -> None:
    spec = replace(SPEC, steps=compile_steps(Shadow(100, 5.0, ("errors",))))
    mirrored = decide(spec, STEPPING, world()).status
    assert mirrored.split == Split(0, 100)
    status = run_to_the_end(spec, STEPPING)
    assert (status.outcome, status.reason, status.split) == (Outcome.OBSERVED, None, Split())
    assert status.exposed, "requests may still be under way"


def test_what_is_done_stays_done() -> None:
    done = Status(phase=Phase.DONE, outcome=Outcome.PROMOTED)
    decision = decide(replace(SPEC, aborted=True, target=GREEN), done, world())
    assert (decision.status, decision.again_in, decision.effects) == (done, None, ())


def test_deciding_twice_decides_the_same() -> None:
    for status in (STEPPING, SWITCHED, BAKING):
        assert decide(SPEC, status, world()) == decide(SPEC, status, world())
