"""From pending to stepping: replicas, sample inference, gateways, in this order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployments.domain.decide import decide
from deployments.domain.rollout import (
    Outcome,
    Phase,
    ReasonCode,
    Split,
    Status,
    Waiting,
)
from deployments.domain.world import SmokeDirect, SmokeThroughGateways, SmokeVerdict
from tests.unit.deployments.worlds import (
    EXPOSED,
    GREEN,
    NOW,
    ONE,
    PENDING,
    PROVISIONING,
    SPEC,
    TWO,
    counts,
    failure,
    gateways,
    settled_reason,
    waits_for,
    world,
)

ABORTED = replace(SPEC, aborted=True, abort_reason="wrong version")
PAUSED = replace(SPEC, paused=True)


def after(status: Status, seconds: float, waiting: Waiting) -> Status:
    """The same, having waited for this for so long."""
    return replace(status, waiting=waiting, stalled_for=waiting, stalled_since=NOW - seconds)


def test_a_rollout_begins_with_its_replicas() -> None:
    decision = decide(SPEC, PENDING, world())
    assert decision.status.phase is Phase.PROVISIONING
    assert decision.status.started == decision.status.since == NOW
    assert decision.again_in == 0


def test_it_waits_for_an_earlier_rollout() -> None:
    assert waits_for(decide(SPEC, PENDING, world(earlier_active=True)), PENDING, Waiting.EARLIER)


def test_it_does_not_begin_while_paused() -> None:
    assert waits_for(decide(PAUSED, PENDING, world()), PENDING, Waiting.USER)


def test_one_that_is_aborted_before_it_began_is_over_at_once() -> None:
    decision = decide(ABORTED, PENDING, world(earlier_active=True))
    status = decision.status
    assert (status.phase, status.outcome) == (Phase.DONE, Outcome.REVERTED)
    assert status.reason
    assert status.reason.evidence == {"reason": "wrong version"}
    assert decision.again_in is None


def test_a_release_that_is_stable_already_is_promoted_without_work() -> None:
    status = decide(replace(SPEC, stable=GREEN), PENDING, world()).status
    assert (status.phase, status.outcome) == (Phase.DONE, Outcome.PROMOTED)


def test_it_waits_until_every_replica_is_ready() -> None:
    decision = decide(SPEC, PROVISIONING, world(replicas=counts(green=1)))
    assert waits_for(decision, PROVISIONING, Waiting.REPLICAS)
    assert not decision.effects


def test_replicas_that_are_not_ready_in_time_end_it_with_what_the_probes_said() -> None:
    late = after(PROVISIONING, 31, Waiting.REPLICAS)
    seen = world(replicas=counts(green=1), probes={"rep_1": "503 loading"})
    decision = decide(SPEC, late, seen)
    assert settled_reason(decision) is ReasonCode.HEALTH_TIMEOUT
    assert decision.status.reason
    assert decision.status.reason.evidence["probes"] == {"rep_1": "503 loading"}
    assert decision.status.reason.evidence["ready"] == 1


def test_replicas_that_are_ready_late_are_ready() -> None:
    late = after(PROVISIONING, 31, Waiting.REPLICAS)
    assert decide(SPEC, late, world()).status.phase is Phase.PROVISIONING


def test_a_replica_that_is_replaced_gets_the_full_time_again() -> None:
    smoking = after(PROVISIONING, 31, Waiting.SMOKE)
    again = decide(SPEC, smoking, world(replicas=counts(green=1)))
    assert waits_for(again, smoking, Waiting.REPLICAS)
    assert again.status.stalled_since == NOW


def test_a_model_that_cannot_be_loaded_fails_at_once() -> None:
    seen = world(failures=(failure("rep_1", ReasonCode.MODEL_LOAD_FAILED),))
    decision = decide(SPEC, PROVISIONING, seen)
    assert settled_reason(decision) is ReasonCode.MODEL_LOAD_FAILED
    assert decision.status.reason
    assert decision.status.reason.evidence["log"] == ["the last line"]
    assert decision.status.reason.evidence["replica"] == "rep_1"


def test_a_few_crashes_are_replaced_and_one_more_ends_it() -> None:
    crashes = tuple(failure(f"rep_{number}") for number in range(4))
    tolerated = world(replicas=counts(green=1), failures=crashes[:3])
    assert waits_for(decide(SPEC, PROVISIONING, tolerated), PROVISIONING, Waiting.REPLICAS)
    decision = decide(SPEC, PROVISIONING, replace(tolerated, failures=crashes))
    assert settled_reason(decision) is ReasonCode.REPLICA_CRASHED


def test_one_crash_that_is_listed_twice_is_one_crash() -> None:
    seen = world(failures=(failure("rep_1"),) * 9)
    assert decide(SPEC, PROVISIONING, seen).status.phase is Phase.PROVISIONING


def test_it_asks_for_a_sample_inference_when_all_are_ready() -> None:
    decision = decide(SPEC, PROVISIONING, world(smoked=None))
    assert waits_for(decision, PROVISIONING, Waiting.SMOKE)
    assert decision.effects == (SmokeDirect(GREEN),)


def test_a_wrong_answer_ends_it_and_is_kept() -> None:
    wrong = SmokeVerdict(False, {"status": 500})
    decision = decide(SPEC, PROVISIONING, world(smoked=wrong))
    assert settled_reason(decision) is ReasonCode.SMOKE_FAILED
    assert decision.status.reason
    assert decision.status.reason.evidence == {"status": 500}


def test_then_its_cluster_is_published() -> None:
    decision = decide(SPEC, PROVISIONING, world())
    assert decision.status.exposed
    assert decision.again_in == 0  # the gateways may have it already, and then say nothing
    assert decision.status.waiting is Waiting.GATEWAY
    assert decision.status.split == Split()


def test_it_waits_until_every_gateway_knows_the_cluster() -> None:
    seen = world(gateways=gateways(acked_exposed=False))
    decision = decide(SPEC, EXPOSED, seen)
    assert waits_for(decision, EXPOSED, Waiting.GATEWAY)
    assert not decision.effects


def test_no_gateway_at_all_never_suffices() -> None:
    nobody = world(gateways=gateways(registered=frozenset(), reached=frozenset()))
    decision = decide(SPEC, EXPOSED, nobody)
    assert waits_for(decision, EXPOSED, Waiting.GATEWAY)
    assert decision.status.reason
    assert decision.status.reason.code is ReasonCode.NO_GATEWAY
    late = after(decision.status, 601, Waiting.GATEWAY)
    assert settled_reason(decide(SPEC, late, nobody)) is ReasonCode.NO_GATEWAY


def test_a_gateway_that_rejects_the_cluster_ends_it_with_what_it_said() -> None:
    seen = world(gateways=gateways(acked_exposed=False, rejected={"error": "bad cluster"}))
    decision = decide(SPEC, EXPOSED, seen)
    assert settled_reason(decision) is ReasonCode.XDS_NACK
    assert decision.status.reason
    assert decision.status.reason.evidence == {"error": "bad cluster"}


def test_a_rejection_of_something_else_is_not_its_trouble() -> None:
    seen = world(gateways=gateways(rejected={"error": "another endpoint"}))
    assert decide(SPEC, EXPOSED, seen).status.phase is Phase.STEPPING
    assert decide(SPEC, PROVISIONING, seen).status.phase is Phase.PROVISIONING


def test_it_has_to_be_reached_through_every_gateway() -> None:
    seen = world(gateways=gateways(registered=TWO, reached=ONE))
    decision = decide(SPEC, EXPOSED, seen)
    assert waits_for(decision, EXPOSED, Waiting.REACH)
    assert decision.effects == (SmokeThroughGateways(GREEN),)


def test_having_reached_it_through_a_removed_gateway_does_not_count() -> None:
    seen = world(gateways=gateways(registered=ONE, reached=frozenset({"hall"})))
    assert waits_for(decide(SPEC, EXPOSED, seen), EXPOSED, Waiting.REACH)


def test_a_failed_attempt_to_reach_it_is_repeated_for_a_while() -> None:
    view = gateways(registered=TWO, reached=ONE, reach_failed={"status": 503})
    early = after(EXPOSED, 29, Waiting.REACH)
    assert waits_for(decide(SPEC, early, world(gateways=view)), early, Waiting.REACH)
    late = after(EXPOSED, 31, Waiting.REACH)
    decision = decide(SPEC, late, world(gateways=view))
    assert settled_reason(decision) is ReasonCode.REACH_FAILED
    assert decision.status.reason
    assert decision.status.reason.evidence == {"status": 503, "gateways": ["hall"]}


def test_reached_through_all_it_starts_to_step() -> None:
    decision = decide(SPEC, EXPOSED, world())
    assert (decision.status.phase, decision.status.step) == (Phase.STEPPING, 0)
    assert decision.status.split == Split()


@pytest.mark.parametrize(
    ("waiting", "fields"),
    [
        (Waiting.SMOKE, {"smoked": None}),
        (Waiting.GATEWAY, {"gateways": gateways(acked_exposed=False)}),
        (Waiting.REACH, {"gateways": gateways(reached=frozenset())}),
    ],
)
def test_no_machine_is_waited_for_without_end(waiting: Waiting, fields: dict[str, Any]) -> None:
    late = after(EXPOSED, 601, waiting)
    assert settled_reason(decide(SPEC, late, world(**fields))) is ReasonCode.PROGRESS_DEADLINE


def test_a_silent_host_freezes_it_and_no_deadline_runs() -> None:
    late = after(PROVISIONING, 31, Waiting.REPLICAS)
    seen = world(replicas=counts(green=1), silent_hosts=frozenset({"north"}))
    decision = decide(SPEC, late, seen)
    assert waits_for(decision, late, Waiting.HOST)
    assert decision.status.reason
    assert decision.status.reason.code is ReasonCode.HOST_SILENT
    assert decision.status.reason.evidence == {"hosts": ["north"]}
    assert decision.status.frozen_since == NOW


def test_after_a_silence_the_deadline_goes_on_where_it_stood() -> None:
    waited = after(PROVISIONING, 25, Waiting.REPLICAS)
    missing = world(replicas=counts(green=1))
    frozen = decide(SPEC, waited, replace(missing, silent_hosts=frozenset({"north"}))).status
    thawed = decide(SPEC, frozen, replace(missing, now=NOW + 100)).status
    assert (thawed.waiting, thawed.reason) == (Waiting.REPLICAS, None)
    assert thawed.paused_seconds == 100
    assert thawed.stalled_since == NOW + 75
    in_time = decide(SPEC, thawed, replace(missing, now=NOW + 104))
    assert in_time.status.phase is Phase.PROVISIONING
    too_late = decide(SPEC, thawed, replace(missing, now=NOW + 106))
    assert settled_reason(too_late) is ReasonCode.HEALTH_TIMEOUT


def test_paused_time_does_not_count_either() -> None:
    waited = after(PROVISIONING, 25, Waiting.REPLICAS)
    missing = world(replicas=counts(green=1))
    paused = decide(PAUSED, waited, missing).status
    assert (paused.waiting, paused.frozen_since) == (Waiting.USER, NOW)
    later = replace(missing, now=NOW + 500)
    assert decide(PAUSED, paused, later).status == paused
    assert decide(SPEC, paused, later).status.phase is Phase.PROVISIONING


def test_a_silent_gateway_freezes_it_too() -> None:
    late = after(EXPOSED, 601, Waiting.GATEWAY)
    silent = world(gateways=gateways(registered=TWO, acked_exposed=False, silent={"hall"}))
    decision = decide(SPEC, late, silent)
    assert waits_for(decision, late, Waiting.GATEWAY)
    assert decision.status.reason
    assert decision.status.reason.code is ReasonCode.GATEWAY_SILENT
    assert "hall" in decision.note


def test_a_silent_gateway_does_not_hold_up_the_replicas() -> None:
    late = after(PROVISIONING, 31, Waiting.REPLICAS)
    seen = world(replicas=counts(green=1), gateways=gateways(silent={"edge"}))
    assert settled_reason(decide(SPEC, late, seen)) is ReasonCode.HEALTH_TIMEOUT


def test_a_standstill_is_one_event_and_not_one_a_second() -> None:
    seen = world(silent_hosts=frozenset({"north"}))
    first = decide(SPEC, PROVISIONING, seen)
    assert first.note
    second = decide(SPEC, first.status, replace(seen, now=NOW + 1))
    assert not second.note
    assert second.status == first.status


def test_an_abort_is_obeyed_while_paused_and_while_a_host_is_silent() -> None:
    spec = replace(ABORTED, paused=True, abort_code=ReasonCode.SUPERSEDED)
    seen = world(silent_hosts=frozenset({"north"}))
    assert settled_reason(decide(spec, PROVISIONING, seen)) is ReasonCode.SUPERSEDED


def test_a_target_that_never_had_traffic_is_withdrawn_with_the_revert() -> None:
    clear = gateways(clear_since=NOW - 60)
    status = decide(ABORTED, EXPOSED, world(gateways=clear)).status
    assert not status.exposed


def test_but_not_while_a_gateway_may_do_something_else() -> None:
    assert decide(ABORTED, EXPOSED, world(gateways=gateways(clear_since=None))).status.exposed


def test_what_has_been_observed_is_written_down() -> None:
    assert (
        decide(replace(SPEC, generation=7), PROVISIONING, world()).status.observed_generation == 7
    )
