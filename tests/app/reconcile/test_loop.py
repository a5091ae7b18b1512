"""The loop itself: wake-ups, failing passes, hosts that change behind its back."""

from __future__ import annotations

from typing import Any

import pytest

from core import clock
from deployments import publish, wakeups
from deployments.models import Publication, Replica, Rollout, RolloutEvent
from deployments.reconcile import loop, patrol
from governance.models import AuditEvent
from tests.app.reconcile.conftest import Site

pytestmark = pytest.mark.django_db


def test_a_dead_replica_is_replaced_without_any_rollout(site: Site) -> None:
    site.finish(site.start(1, replicas=2))
    dead = site.copies(1, "ready")[0]
    site.host.end(dead.public_id, 137)
    patrol.sweep(limit=10)
    loop.reconcile_endpoint(site.endpoint.pk)
    loop.reconcile_endpoint(site.endpoint.pk)
    site.collect()
    dead.refresh_from_db()
    assert dead.failure is not None
    assert dead.failure["code"] == "replica-crashed"
    assert "signal 9" in dead.failure["message"]
    assert len(site.copies(1, "ready")) == 2


def test_a_silent_host_freezes_the_rollout_and_fails_nothing(site: Site) -> None:
    site.finish(site.start(1))
    rollout = site.start(2)
    site.turn(rollout)
    site.host.silent = True
    site.pass_time(500)
    site.turn(rollout)
    assert rollout.phase == "provisioning"
    assert rollout.status["waiting"] == "host"
    assert site.shares == {1: 100}
    site.host.silent = False
    site.baking(rollout)
    assert site.shares == {1: 0, 2: 100}


def test_every_decision_is_told_and_every_change_is_in_the_audit_log(site: Site) -> None:
    site.finish(site.start(1))
    rollout = site.finish(site.start(2))
    told = list(RolloutEvent.objects.filter(rollout=rollout).values_list("kind", flat=True))
    assert told[0] == "created"
    assert "routes-changed" in told
    assert "routes-acknowledged" in told
    actions = list(
        AuditEvent.objects.filter(object_id=rollout.pk)
        .order_by("id")
        .values_list("action", flat=True)
    )
    assert actions == ["rollout.start", "rollout.switch", "rollout.finish"]


def test_being_woken_during_a_pass_leads_to_another_pass(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = site.baking(site.start(1))
    Rollout.objects.filter(pk=rollout.pk).update(due_at=clock.now())
    look, looks = loop.seen.look, []

    def woken_at_the_first(*args: Any) -> Any:
        looks.append(args)
        if len(looks) == 1:
            wakeups.wake(rollout.pk)
        return look(*args)

    monkeypatch.setattr(loop.seen, "look", woken_at_the_first)
    loop.reconcile_endpoint(rollout.endpoint_id)
    assert len(looks) == 2


def test_a_pass_that_raises_is_postponed_and_seen(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = site.start(1)

    def broken(*_: object) -> object:
        raise RuntimeError("the row is impossible")

    monkeypatch.setattr(loop.seen, "look", broken)
    with pytest.raises(RuntimeError):
        loop.reconcile(rollout.pk)
    rollout.refresh_from_db()
    assert rollout.attempts == 1
    assert "impossible" in rollout.last_problem
    assert rollout.due_at is not None
    assert rollout.due_at > clock.now()


def test_an_orphan_is_stopped_once_it_is_old_enough(site: Site) -> None:
    site.collector_runs = False
    site.turn(site.start(1))
    copy = site.copies(1)[0]
    Replica.objects.filter(pk=copy.pk).update(state="stopped")
    patrol.sweep(limit=10)
    assert site.host.observed[copy.public_id].running, "it may be one that is being written"
    site.pass_time(120)
    patrol.sweep(limit=10)
    assert not site.host.observed[copy.public_id].running


def test_publications_do_not_pile_up(site: Site) -> None:
    site.finish(site.start(1))
    endpoint = site.endpoint
    for port in range(1, 80):
        Replica.objects.filter(state="ready").update(port=port)
        publish.publish(endpoint.environment_id)
    assert Publication.objects.filter(endpoint=endpoint).count() <= 2 * 31
