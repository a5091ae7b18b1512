"""Letting go of the release that lost: agreement, drain, stop, withdrawal."""

from __future__ import annotations

from dataclasses import replace

from deployments.domain.decide import decide
from deployments.domain.rollout import Outcome, Phase, Reason, ReasonCode, Split, Waiting
from deployments.domain.world import ReplicaCounts
from tests.unit.deployments.worlds import (
    BLUE,
    GREEN,
    NOW,
    ONE,
    PROMOTED,
    SPEC,
    counts,
    gateways,
    waits_for,
    world,
)

ALL = Split(100)
WHY = Reason(ReasonCode.SMOKE_FAILED, "It did not answer.", {})
REVERTED = replace(PROMOTED, outcome=Outcome.REVERTED, split=Split(), reason=WHY)
DRAINING = replace(PROMOTED, drain_since=NOW - 10, waiting=Waiting.DRAIN)
RELEASED = replace(DRAINING, released=True)
WITHDRAWN = replace(RELEASED, exposed=False)

NO_BLUE = counts(blue=0)


def test_it_does_not_drain_before_the_gateways_agree() -> None:
    decision = decide(SPEC, PROMOTED, world(ALL))
    assert waits_for(decision, PROMOTED, Waiting.GATEWAY)
    assert decision.status.drain_since is None


def test_the_drain_timer_runs_from_the_acknowledgement() -> None:
    seen = world(gateways=gateways(ALL, clear_since=NOW - 4))
    decision = decide(SPEC, PROMOTED, seen)
    assert waits_for(decision, PROMOTED, Waiting.DRAIN)
    assert decision.status.drain_since == NOW - 4
    assert not decision.status.released


def test_a_later_acknowledgement_of_something_else_does_not_start_it_anew() -> None:
    seen = world(gateways=gateways(ALL, clear_since=NOW - 1))
    assert decide(SPEC, DRAINING, seen).status.drain_since == NOW - 10


def test_a_gateway_that_forgot_starts_it_anew() -> None:
    assert decide(SPEC, DRAINING, world(ALL)).status.drain_since is None


def test_a_drained_loser_is_released() -> None:
    drained = replace(DRAINING, drain_since=NOW - 30)
    decision = decide(SPEC, drained, world(gateways=gateways(ALL, clear_since=NOW - 30)))
    assert decision.status.released
    assert decision.status.exposed
    assert decision.again_in == 0


def test_a_loser_that_no_gateway_ever_knew_needs_no_drain_and_no_gateway() -> None:
    unknown = replace(REVERTED, exposed=False)
    nobody = world(gateways=gateways(registered=frozenset()))
    assert decide(SPEC, unknown, nobody).status.released


def test_its_cluster_stays_until_its_replicas_are_gone() -> None:
    assert waits_for(decide(SPEC, RELEASED, world(ALL)), RELEASED, Waiting.DRAIN)
    gone = decide(SPEC, RELEASED, world(ALL, replicas=NO_BLUE)).status
    assert not gone.exposed
    assert gone.phase is Phase.SETTLING


def test_replicas_on_a_silent_host_are_not_gone() -> None:
    seen = world(ALL, replicas=NO_BLUE, silent_hosts=frozenset({"north"}))
    assert waits_for(decide(SPEC, RELEASED, seen), RELEASED, Waiting.HOST)


def test_failed_replicas_of_the_loser_do_not_change_how_it_ended() -> None:
    failed = {BLUE: ReplicaCounts(present=1, ready=0, failed=1)}
    status = decide(SPEC, RELEASED, world(ALL, replicas=failed)).status
    assert (status.outcome, status.reason) == (Outcome.PROMOTED, None)


def test_it_is_done_when_no_gateway_knows_the_loser() -> None:
    still = world(ALL, replicas=NO_BLUE)
    assert waits_for(decide(SPEC, WITHDRAWN, still), WITHDRAWN, Waiting.GATEWAY)
    forgotten = world(replicas=NO_BLUE, gateways=gateways(ALL, withdrawn=True))
    decision = decide(SPEC, WITHDRAWN, forgotten)
    assert (decision.status.phase, decision.again_in) == (Phase.DONE, None)
    assert decision.note == "The rollout is complete."


def test_a_reverted_one_lets_go_of_the_target_and_keeps_its_reason() -> None:
    seen = world(gateways=gateways(clear_since=NOW - 40), replicas=NO_BLUE)
    status = REVERTED
    for present in (2, 2, 0, 0):
        view = replace(seen.gateways, withdrawn=not status.exposed)
        seen = replace(seen, gateways=view, replicas={GREEN: ReplicaCounts(present, present)})
        status = decide(SPEC, status, seen).status
    assert (status.phase, status.outcome, status.reason) == (Phase.DONE, Outcome.REVERTED, WHY)


def test_a_silent_gateway_holds_up_the_drain_and_does_not_become_the_reason() -> None:
    seen = world(gateways=gateways(silent=ONE))
    assert decide(SPEC, REVERTED, seen).status.reason == WHY


def test_a_loser_that_a_later_rollout_sends_traffic_is_its_business() -> None:
    status = decide(SPEC, PROMOTED, world(ALL, kept_elsewhere=frozenset({BLUE}))).status
    assert status.phase is Phase.DONE


def test_a_promoted_first_deployment_has_nothing_to_let_go_of() -> None:
    assert decide(replace(SPEC, stable=None), PROMOTED, world(ALL)).status.phase is Phase.DONE


def test_it_is_too_late_to_abort() -> None:
    decision = decide(replace(SPEC, aborted=True), PROMOTED, world(ALL))
    assert decision.status.outcome is Outcome.PROMOTED
