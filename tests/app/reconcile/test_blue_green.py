"""The loop over real rows: what a rollout does, and what it leaves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core import clock
from core.errors import Conflict, Invalid, NotAllowed, NotFound, Stale
from deployments.adapters.gateway_smoke import SmokeAnswer
from deployments.models import Gateway, Rollout
from deployments.services import rollouts
from governance.domain.access import Actor
from governance.models import ApprovalPolicy, User
from tests.app.reconcile.conftest import ANSWERED, Site, evidence_of

pytestmark = pytest.mark.django_db


def test_a_first_rollout_brings_the_endpoint_to_life(site: Site) -> None:
    rollout = site.finish(site.start(1))
    assert rollout.outcome == "promoted"
    assert site.shares == {1: 100}
    assert site.endpoint.stable_release_id == rollout.target_release_id
    assert [copy.state for copy in site.copies(1)] == ["ready"]
    assert rollout.finished_at is not None


def test_the_old_release_keeps_all_traffic_until_the_new_one_is_reached(site: Site) -> None:
    site.finish(site.start(1))
    site.collector_runs = False
    rollout = site.start(2)
    for _ in range(5):
        site.turn(rollout)
        site.pass_time(1)
    assert rollout.phase == "provisioning"
    assert site.shares == {1: 100}
    site.collector_runs = True
    site.gateway_answer = SmokeAnswer(False, 503, 0.01, "no healthy upstream")
    for _ in range(5):
        site.turn(rollout)
        site.pass_time(1)
    assert rollout.status["waiting"] == "reach"
    assert site.shares == {1: 100, 2: 0}, "the new cluster is known, and gets nothing"


def test_one_gateway_that_has_not_acknowledged_holds_the_switch(site: Site) -> None:
    site.finish(site.start(1))
    site.deaf_gateways = {"west"}
    rollout = site.start(2)
    for _ in range(20):
        site.turn(rollout)
    assert rollout.phase == "provisioning"
    assert site.shares == {1: 100, 2: 0}
    site.deaf_gateways = set()
    site.baking(rollout)
    assert site.shares == {1: 0, 2: 100}


def test_a_removed_gateway_no_longer_holds_the_switch(site: Site) -> None:
    site.finish(site.start(1))
    site.deaf_gateways = {"west"}
    rollout = site.start(2)
    for _ in range(5):
        site.turn(rollout)
    Gateway.objects.filter(name="west").update(removed_at=clock.now())
    site.baking(rollout)
    assert site.shares == {1: 0, 2: 100}


def test_the_old_replicas_stay_warm_during_the_bake_and_stop_after_the_drain(site: Site) -> None:
    site.finish(site.start(1))
    rollout = site.baking(site.start(2))
    assert [copy.state for copy in site.copies(1)] == ["ready"]
    site.finish(rollout)
    assert [copy.state for copy in site.copies(1)] == ["stopped"]
    assert [copy.state for copy in site.copies(2)] == ["ready"]
    assert site.shares == {2: 100}
    assert rollout.switch_acked_at is not None
    assert rollout.finished_at is not None
    drained = rollout.finished_at - rollout.switch_acked_at
    assert drained >= timedelta(seconds=site.environment.drain_seconds)


def test_a_replica_leaves_the_gateways_before_it_is_told_to_stop(site: Site) -> None:
    site.finish(site.start(1))
    site.finish(site.start(2))
    names = [cluster["name"] for cluster in site.clusters()]
    old, new = site.copies(1)[0], site.copies(2)[0]
    assert old.public_id in site.host.stopped
    assert all(old.release.public_id not in name for name in names)
    assert any(new.release.public_id in name for name in names)


def test_rolling_back_during_the_bake_is_one_route_change(site: Site) -> None:
    site.finish(site.start(1))
    rollout = site.baking(site.start(2))
    started = len(site.host.started)
    back = rollouts.roll_back(actor=site.actor, endpoint_id=site.endpoint.pk, reason="worse")
    assert back.pk == rollout.pk
    site.turn(rollout)
    assert site.shares == {1: 100, 2: 0}
    assert rollout.phase == "settling"
    site.finish(rollout)
    assert rollout.outcome == "reverted"
    assert rollout.status["reason"]["code"] == "rolled-back"
    assert evidence_of(rollout) == {"reason": "worse"}
    assert len(site.host.started) == started, "nothing was started to go back"
    assert [copy.state for copy in site.copies(2)] == ["stopped"]


def test_rolling_back_later_starts_the_earlier_release_again_without_a_bake(site: Site) -> None:
    site.finish(site.start(1))
    site.finish(site.start(2))
    back = rollouts.roll_back(actor=site.actor, endpoint_id=site.endpoint.pk)
    assert back.kind == "rollback"
    site.finish(back)
    assert site.shares == {1: 100}
    with pytest.raises(NotFound):
        rollouts.roll_back(actor=site.actor, endpoint_id=site.endpoint.pk, to="3")
    site.finish(rollouts.roll_back(actor=site.actor, endpoint_id=site.endpoint.pk, to="2"))
    assert site.shares == {2: 100}


def test_a_rollback_may_begin_while_the_release_it_wants_still_drains(site: Site) -> None:
    site.finish(site.start(1))
    second = site.baking(site.start(2))
    rollouts.promote(actor=site.actor, rollout_id=second.pk)
    site.until(second, lambda row: row.phase == "settling")
    started = len(site.host.started)
    back = rollouts.roll_back(actor=site.actor, endpoint_id=site.endpoint.pk)
    site.finish(back)
    assert len(site.host.started) == started, "the draining replicas were taken over"
    assert site.shares == {1: 100}
    assert [copy.state for copy in site.copies(1)] == ["ready"]
    site.finish(second)


def test_a_model_that_cannot_be_loaded_is_refused_with_its_reason(site: Site) -> None:
    site.finish(site.start(1))
    site.host.fail_with = (
        4,
        '{"event":"model-load-failed","code":"model:run-failed",'
        '"message":"It fails on 4 rows: [ONNXRuntimeError] : 1 : FAIL"}',
    )
    rollout = site.finish(site.start(2))
    assert rollout.outcome == "reverted"
    reason = rollout.status["reason"]
    assert reason["code"] == "model-load-failed"
    assert reason["message"].endswith("in its replica: It fails on 4 rows.")
    assert "[ONNXRuntimeError]" in reason["evidence"]["log_tail"]
    assert reason["evidence"]["exit_code"] == 4
    assert site.shares == {1: 100}
    assert site.copies(2, "starting", "ready", "stopping") == []


def test_a_failing_smoke_inference_ends_it_before_any_gateway_knows(site: Site) -> None:
    site.finish(site.start(1))
    site.direct_answer = SmokeAnswer(False, 500, 0.01, "status 500: boom")
    rollout = site.finish(site.start(2))
    assert rollout.status["reason"]["code"] == "smoke-failed"
    assert site.shares == {1: 100}


def test_a_rejected_snapshot_reverts_with_the_gateways_reason(site: Site) -> None:
    site.finish(site.start(1))
    site.rejecting = "Cluster"
    rollout = site.start(2)
    site.until(rollout, lambda row: row.phase == "settling")
    site.rejecting = ""
    site.finish(rollout)
    assert rollout.status["reason"]["code"] == "xds-nack"
    assert evidence_of(rollout)["reason"] == "the listener does not like it"
    assert site.shares == {1: 100}


def test_pausing_and_resuming(site: Site) -> None:
    rollout = site.start(1)
    rollouts.pause(actor=site.actor, rollout_id=rollout.pk, reason="lunch")
    for _ in range(5):
        site.turn(rollout)
        site.pass_time(60)
    assert rollout.status["waiting"] == "user"
    with pytest.raises(Conflict):
        rollouts.pause(actor=site.actor, rollout_id=rollout.pk)
    rollouts.resume(actor=site.actor, rollout_id=rollout.pk)
    assert site.finish(rollout).outcome == "promoted"


def test_promoting_skips_the_rest_of_the_bake(site: Site) -> None:
    site.finish(site.start(1))
    rollout = site.start(2, strategy={"bake_seconds": 3600})
    with pytest.raises(Conflict):
        rollouts.promote(actor=site.actor, rollout_id=rollout.pk)
    site.baking(rollout)
    rollouts.promote(actor=site.actor, rollout_id=rollout.pk)
    site.turn(rollout)
    assert rollout.phase == "settling"
    assert rollout.outcome == "promoted"


def test_only_one_rollout_of_an_endpoint_is_in_progress(site: Site) -> None:
    site.start(1)
    with pytest.raises(Conflict) as refusal:
        site.start(2)
    assert refusal.value.stable_code == "rollout:already-active"


def test_what_is_live_already_is_not_rolled_out_again(site: Site) -> None:
    site.finish(site.start(1))
    with pytest.raises(Conflict) as refusal:
        site.start(1)
    assert refusal.value.stable_code == "rollout:already-live"


def test_a_rollback_to_something_else_aborts_what_is_in_progress_first(site: Site) -> None:
    site.finish(site.start(1))
    site.finish(site.start(2))
    third = site.baking(site.start(3))
    back = rollouts.roll_back(actor=site.actor, endpoint_id=site.endpoint.pk, to="1")
    assert back.pk != third.pk
    site.finish(back)
    third.refresh_from_db()
    assert third.status["reason"]["code"] == "superseded"
    assert site.shares == {1: 100}
    site.finish(third)


def test_an_action_on_an_older_generation_is_refused(site: Site) -> None:
    rollout = site.start(1)
    rollouts.pause(actor=site.actor, rollout_id=rollout.pk, generation=1)
    with pytest.raises(Stale):
        rollouts.abort(actor=site.actor, rollout_id=rollout.pk, generation=1)


def test_a_policy_that_asks_for_approvals_is_not_met_by_silence(site: Site) -> None:
    site.finish(site.start(1))
    ApprovalPolicy.objects.update_or_create(
        environment_id=site.environment.pk,
        risk_tier=site.model.risk_tier,
        defaults={"required_approvals": 1},
    )
    rollout = site.start(2)
    for _ in range(20):
        site.turn(rollout)
        site.pass_time(10)
    assert rollout.status["waiting"] == "approval"
    assert site.shares == {1: 100, 2: 0}


@pytest.mark.parametrize(
    ("strategy", "code"),
    [
        ({"kind": "canary"}, "strategy:unknown-kind"),
        ({"bake_seconds": -1}, "strategy:bake-out-of-bounds"),
        ({"bake_seconds": True}, "strategy:bake-out-of-bounds"),
        ({"bake": 1}, "unknown_field"),
        ({"pause_before_switch": "yes"}, "strategy:not-a-boolean"),
    ],
)
def test_a_wrong_strategy_is_refused_with_its_place(
    site: Site, strategy: dict[str, object], code: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        site.start(1, strategy=strategy)
    assert refusal.value.stable_code == code
    assert refusal.value.problems[0].pointer.startswith("/strategy/")
    assert not Rollout.objects.exists()


def test_mallory_sees_no_model_and_charlie_may_not_start(site: Site) -> None:
    mallory = User.objects.create(username="mallory")
    charlie = User.objects.create(username="charlie")
    charlie.bindings.create(role="viewer", scope_kind="everything")
    with pytest.raises(NotFound):
        rollouts.start(
            actor=Actor(user_id=mallory.pk, username="mallory"),
            model="tumour",
            version=1,
            environment="staging",
        )
    with pytest.raises(NotAllowed):
        rollouts.start(
            actor=Actor(user_id=charlie.pk, username="charlie"),
            model="tumour",
            version=1,
            environment="staging",
        )


def test_a_version_has_an_address_of_its_own_only_while_it_has_traffic(site: Site) -> None:
    site.finish(site.start(1))
    site.gateway_answer = SmokeAnswer(False, 503, 0.01, "no healthy upstream")
    rollout = site.start(2)
    for _ in range(5):
        site.turn(rollout)
    assert site.shares == {1: 100, 2: 0}
    assert "versions/1" in site.routes_text()
    assert "versions/2" not in site.routes_text()
    site.gateway_answer = ANSWERED
    site.baking(rollout)
    assert "versions/2" in site.routes_text()
    assert "versions/1" not in site.routes_text()
