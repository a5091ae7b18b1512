"""A host that does not answer: nothing is concluded, and a person may give up what it holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployments.adapters import hosts as adapters
from deployments.domain import routing
from deployments.models import Host, Replica, Snapshot
from deployments.reconcile import loop, patrol
from deployments.services import replicas
from governance.models import AuditEvent, User
from tests.app.reconcile.conftest import Site
from tests.factories import people
from tests.factories.api import Api, refused_with

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator_api(db: None) -> Api:
    user = people.person("bob")
    people.bind(user, "operator")
    return Api(token=people.token(user))


@pytest.fixture
def charlie_api(charlie: User) -> Api:
    return Api(token=people.token(charlie))


@pytest.fixture
def spare(site: Site, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Another host beside the first, which a test can make silent."""
    row = Host.objects.create(environment=site.environment, name="spare", kind="process")
    other = type(site.host)(site.host.scratch)
    other.next_port = 40_000
    both = {site.host_row.pk: site.host, row.pk: other}
    monkeypatch.setattr(adapters, "connect", lambda host: both[host.pk])
    return other


def silent(site: Site) -> None:
    """The first host stops answering, and that is known."""
    site.host.silent = True
    patrol.sweep(limit=10)
    site.pass_time(60)
    patrol.sweep(limit=10)


def replace(site: Site, api: Api) -> Any:
    return api.post(f"/hosts/{site.host_row.public_id}/replace-replicas", {"reason": "it burns"})


def test_a_silent_host_makes_its_endpoints_degraded_and_nothing_else(
    site: Site, charlie_api: Api
) -> None:
    site.finish(site.start(1, replicas=2))
    silent(site)
    loop.reconcile_endpoint(site.endpoint.pk)
    [endpoint] = charlie_api.get("/endpoints").json()["items"]
    assert endpoint["state"] == "degraded"
    assert "local" in endpoint["sentence"]
    assert [each["host_silent"] for each in endpoint["replica_list"]] == [True, True]
    assert len(site.copies(1, "ready")) == 2, "silent is not empty"
    site.host.silent = False
    patrol.sweep(limit=10)
    [endpoint] = charlie_api.get("/endpoints").json()["items"]
    assert endpoint["state"] == "serving"


def test_a_host_that_answers_is_not_given_up(site: Site, operator_api: Api) -> None:
    site.finish(site.start(1))
    patrol.sweep(limit=10)
    assert refused_with(replace(site, operator_api), 409, "host:answers")
    assert len(site.copies(1, "ready")) == 1


def test_the_replicas_of_a_silent_host_are_replaced_elsewhere(
    site: Site, spare: Any, operator_api: Api
) -> None:
    spare.silent = True
    site.finish(site.start(1, replicas=2))
    spare.silent = False
    old = site.copies(1, "ready")
    silent(site)
    answer = replace(site, operator_api)
    assert (answer.status_code, answer.json()) == (200, {"replaced": 2})
    assert AuditEvent.objects.filter(action="host.replace").count() == 1
    loop.reconcile_endpoint(site.endpoint.pk)
    assert len(spare.observed) == 2
    published = json.dumps(Snapshot.objects.get(type_url=routing.CLUSTER_TYPE).resources)
    assert all(str(copy.port) in published for copy in old), "until others are ready they may serve"
    come_to_rest(site, spare)
    published = json.dumps(Snapshot.objects.get(type_url=routing.CLUSTER_TYPE).resources)
    assert not any(str(copy.port) in published for copy in old)
    failures = [copy.failure for copy in site.copies(1, "stopped")]
    assert [failure and failure["code"] for failure in failures] == ["host-abandoned"] * 2
    assert site.endpoint.stable_release is not None


def test_what_a_host_still_runs_when_it_comes_back_is_ended(
    site: Site, spare: Any, operator_api: Api
) -> None:
    spare.silent = True
    site.finish(site.start(1))
    spare.silent = False
    [old] = site.copies(1, "ready")
    silent(site)
    replace(site, operator_api)
    come_to_rest(site, spare)
    site.host.silent = False
    assert site.host.observed[old.public_id].running, "it ran all the time"
    patrol.sweep(limit=10)
    patrol.sweep(limit=10)
    assert site.host.observed == {}
    assert len(site.copies(1, "ready")) == 1


def test_a_rollout_goes_on_when_its_silent_host_was_given_up(
    site: Site, spare: Any, operator_api: Api
) -> None:
    spare.silent = True
    site.finish(site.start(1))
    rollout = site.baking(site.start(2))
    spare.silent = False
    silent(site)
    site.turn(rollout)
    assert rollout.status["waiting"] == "host"
    replace(site, operator_api)
    site.collector_runs = False
    site.turn(rollout)
    assert rollout.status["waiting"] != "host"

    def is_done(row: Any) -> bool:
        collect(site, spare)
        return bool(row.phase == "done")

    site.until(rollout, is_done, step=5.0)
    assert rollout.status["outcome"] == "promoted", rollout.status
    assert site.shares == {2: 100}


def test_a_host_can_be_removed_when_its_replicas_were_given_up(
    site: Site, spare: Any, operator_api: Api
) -> None:
    spare.silent = True
    site.finish(site.start(1))
    spare.silent = False
    silent(site)
    path = f"/hosts/{site.host_row.public_id}"
    assert refused_with(operator_api.delete(path, if_match="*"), 409, "host:has-replicas")
    replace(site, operator_api)
    assert operator_api.delete(path, if_match="*").status_code == 204
    come_to_rest(site, spare)
    assert len(site.copies(1, "ready")) == 1
    assert not Replica.objects.filter(state="failed").exists()


def test_a_host_that_hangs_is_asked_by_the_patrol_only(
    site: Site, spare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passes over endpoints take it for silent, so that rollouts elsewhere stay prompt."""
    asked: list[str] = []
    connect = adapters.connect

    def counting(host: Host) -> Any:
        asked.append(host.name)
        return connect(host)

    monkeypatch.setattr(adapters, "connect", counting)
    monkeypatch.setattr("deployments.reconcile.asking._HANGS_FROM", 0.0)
    spare.silent = True
    site.finish(site.start(1))
    asked.clear()
    loop.reconcile_endpoint(site.endpoint.pk)
    assert asked == ["local"]
    patrol.sweep(limit=10)
    assert sorted(asked) == ["local", "local", "spare"]
    spare.silent = False
    patrol.sweep(limit=10)
    asked.clear()
    loop.reconcile_endpoint(site.endpoint.pk)
    assert sorted(asked) == ["local", "spare"]


def test_the_patrol_keeps_what_a_host_says_of_itself(site: Site, operator_api: Api) -> None:
    patrol.sweep(limit=10)
    row = operator_api.get(f"/hosts/{site.host_row.public_id}").json()
    assert row["engine"]["version"] == "fake"
    assert row["last_contact_at"] is not None


def test_a_host_says_why_it_is_silent(site: Site, operator_api: Api) -> None:
    silent(site)
    row = operator_api.get(f"/hosts/{site.host_row.public_id}").json()
    assert row["last_error"] == "The fake host is silent."


def come_to_rest(site: Site, spare: Any) -> None:
    for _ in range(4):
        loop.reconcile_endpoint(site.endpoint.pk)
        collect(site, spare)


def collect(site: Site, spare: Any) -> None:
    """The collector, for copies on either host."""
    for copy in Replica.objects.filter(state=Replica.State.STARTING, port__isnull=False):
        for host in (site.host, spare):
            seen = host.observed.get(copy.public_id)
            if seen is not None and seen.running and not host.silent:
                replicas.record_ready(copy.pk, streak=3, probe={"status": 200})
