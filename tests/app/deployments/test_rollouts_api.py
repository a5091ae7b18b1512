"""/endpoints, /rollouts, /releases and /operations over REST, on a world that is fake."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from deployments.adapters import hosts
from deployments.models import Artifact, Endpoint, Model, Rollout, Version
from deployments.ports import HostSilent
from deployments.selectors import endpoints, rollouts
from deployments.services import rollouts as services
from governance import authorize
from governance.models import Team, User
from tests.app.reconcile.conftest import SAMPLE, SIGNATURE, Site
from tests.factories import people
from tests.factories.api import Api, refused_with
from tests.factories.people import actor

pytestmark = pytest.mark.django_db

_keys = count()


@pytest.fixture
def deployer(site: Site) -> Api:
    return Api(token=people.token(User.objects.get(username="alice")))


@pytest.fixture
def looker(site: Site) -> Api:
    user = people.person("charlie")
    people.bind(user, "viewer")
    return Api(token=people.token(user))


def post(api: Api, path: str, body: Any = None, **headers: str) -> Any:
    headers.setdefault("idempotency_key", f"key-{next(_keys)}")
    return api.post(path, {} if body is None else body, **headers)


def start(api: Api, version: int | str = 1, **more: Any) -> Any:
    body = {"model": "tumour", "version": version, "environment": "staging", **more}
    return post(api, "/rollouts", body)


def row_of(answer: Any) -> Rollout:
    public_id = answer.json()["target"]["id"]
    return Rollout.objects.get(pk=public_id.removeprefix("rol_"))


def test_starting_a_rollout_answers_with_an_operation(site: Site, deployer: Api) -> None:
    answer = start(deployer, comment="the first")
    assert answer.status_code == 202, answer.content
    operation = answer.json()
    assert answer["Location"] == f"/api/v1/operations/{operation['id']}"
    assert (operation["type"], operation["status"]) == ("rollout.start", "queued")
    rollout = deployer.get(f"/rollouts/{operation['target']['id']}")
    assert rollout["ETag"] == '"v1"'
    body = rollout.json()
    assert body["endpoint"]["name"] == "tumour"
    assert body["target"]["version"] == 1
    assert body["status"]["phase"] == "pending"
    assert [step["label"] for step in body["status"]["steps"]] == ["100 % of traffic", "Bake 30 s"]
    assert body["comment"] == "the first"
    assert body["allowed_actions"] == ["pause", "abort"]
    assert set(body["disabled_actions"]) == {"resume", "promote"}


def test_an_operation_ends_as_its_rollout_ends(site: Site, deployer: Api) -> None:
    answer = start(deployer)
    site.finish(row_of(answer))
    operation = deployer.get(f"/operations/{answer.json()['id']}?wait=30").json()
    assert operation["status"] == "succeeded"
    assert operation["result"]["outcome"] == "promoted"
    assert operation["error"] is None
    listed = deployer.get("/operations").json()["items"]
    assert [item["id"] for item in listed] == [operation["id"]]


def test_an_operation_is_told_in_the_words_of_its_rollout(site: Site, deployer: Api) -> None:
    site.finish(row_of(start(deployer)))
    answer = start(deployer, 2)
    row = row_of(answer)
    site.baking(row)
    message = deployer.get(f"/operations/{answer.json()['id']}").json()["progress"]["message"]
    sentence = deployer.get(f"/rollouts/{row.public_id}").json()["status"]["sentence"]
    for text in (message, sentence):
        assert text.startswith("Baking version 2")
        assert text.endswith("version 1 is kept warm.")


def test_waiting_for_an_operation_is_bounded(site: Site, deployer: Api) -> None:
    operation = start(deployer).json()
    answer = deployer.get(f"/operations/{operation['id']}?wait=0")
    assert (answer.status_code, answer["Retry-After"]) == (200, "1")
    for wrong in ("31", "-1", "x", "1e3", "٣"):
        answer = deployer.get(f"/operations/{operation['id']}?wait={wrong}")
        assert refused_with(answer, 400, "invalid_wait")


def test_an_endpoint_says_what_it_serves(site: Site, deployer: Api) -> None:
    site.finish(row_of(start(deployer)))
    [endpoint] = deployer.get("/endpoints").json()["items"]
    assert endpoint["url"] == "http://east/v2/models/tumour"
    assert (endpoint["state"], endpoint["sentence"]) == (
        "serving",
        "Serving version 1 with 1 replica.",
    )
    assert endpoint["stable_release"]["version"] == 1
    assert [row["percent"] for row in endpoint["traffic"]] == [100]
    assert [row["state"] for row in endpoint["replica_list"]] == ["ready"]
    assert endpoint["active_rollout"] is None
    assert endpoint["cannot_roll_back"] == "There is no earlier release to go back to."
    assert deployer.get(f"/endpoints/{endpoint['id']}").json() == endpoint
    release = endpoint["stable_release"]
    assert deployer.get(f"/releases/{release['id']}").json() == release
    assert deployer.get(f"/endpoints/{endpoint['id']}/releases").json()["items"] == [release]


def test_while_a_rollout_moves_the_endpoint_says_how_far_it_is(site: Site, deployer: Api) -> None:
    site.finish(row_of(start(deployer)))
    site.baking(row_of(start(deployer, 2)))
    [endpoint] = deployer.get("/endpoints?environment=staging&model=tumour").json()["items"]
    assert endpoint["state"] == "baking"
    assert endpoint["active_rollout"]["status"]["badge"] == "baking"
    assert "Baking version 2" in endpoint["sentence"]
    assert "version 1 is kept warm" in endpoint["sentence"]
    assert {row["name"] for row in endpoint["active_rollout"]["gateways"]} <= {"east", "west"}
    assert deployer.get("/endpoints?environment=production").json()["items"] == []


def test_the_verbs_need_what_was_seen(site: Site, deployer: Api) -> None:
    rollout = f"/rollouts/{start(deployer).json()['target']['id']}"
    assert refused_with(post(deployer, f"{rollout}/pause"), 428, "precondition-required")
    assert refused_with(post(deployer, f"{rollout}/pause", if_match='"v9"'), 412, "stale")
    paused = post(deployer, f"{rollout}/pause", {"reason": "lunch"}, if_match='"v1"')
    assert (paused.status_code, paused.json()["type"]) == (202, "rollout.pause")
    assert deployer.get(rollout)["ETag"] == '"v2"'
    again = post(deployer, f"{rollout}/pause", if_match="*")
    assert refused_with(again, 409, "rollout:cannot-pause")
    assert again.json()["allowed_actions"] == ["resume", "abort"]


def test_a_verb_without_a_key_is_refused(site: Site, deployer: Api) -> None:
    rollout = f"/rollouts/{start(deployer).json()['target']['id']}"
    answer = deployer.post(f"{rollout}/abort", {}, if_match="*")
    assert refused_with(answer, 400, "idempotency_key_required")


def test_the_same_start_sent_twice_is_one_rollout(site: Site, deployer: Api) -> None:
    body = {"model": "tumour", "version": 1, "environment": "staging"}
    first = post(deployer, "/rollouts", body, idempotency_key="once")
    again = post(deployer, "/rollouts", body, idempotency_key="once")
    assert again["Idempotency-Replayed"] == "true"
    assert first.json() == again.json()
    assert Rollout.objects.count() == 1


def test_a_second_rollout_is_a_conflict_that_says_what_to_do(site: Site, deployer: Api) -> None:
    start(deployer)
    answer = start(deployer, 2)
    assert refused_with(answer, 409, "rollout:already-active")
    assert answer.json()["allowed_actions"] == ["abort"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"version": 9}, 404, "version:not-found"),
        ({"version": "champion"}, 404, "version:not-found"),
        ({"version": None}, 422, "null"),
        ({"version": 2**40}, 422, "invalid"),
        ({"model": "absent"}, 404, "model:not-found"),
        ({"environment": "moon"}, 404, "environment:not-found"),
        ({"replicas": 0}, 422, "min_value"),
        ({"strategy": {"kind": "canary"}}, 422, "invalid_choice"),
        ({"strategy": {"weights": [1]}}, 422, "unknown_field"),
        ({"config": {"threads": "many"}}, 422, "release:invalid-config"),
        ({"surprise": 1}, 422, "unknown_field"),
    ],
)
def test_what_cannot_be_started_is_refused(
    site: Site, deployer: Api, change: dict[str, Any], status: int, code: str
) -> None:
    answer = start(deployer, **{"version": 1, **change})
    assert answer.status_code == status, answer.content
    assert answer.json()["code"] == code
    assert not Rollout.objects.exists()


def test_only_what_has_rows_everywhere_can_be_batched(site: Site, deployer: Api) -> None:
    fixed = {**SIGNATURE, "outputs": [{"name": "label", "datatype": "INT64", "shape": [1]}]}
    Version.objects.filter(number=1).update(signature=fixed)
    config = {"batch_rows": 32, "batch_window_ms": 1}
    assert refused_with(start(deployer, config=config), 422, "release:invalid-config")
    assert start(deployer, 2, config=config).status_code == 202


def test_rolling_back_during_the_bake_is_one_call(site: Site, deployer: Api) -> None:
    site.finish(row_of(start(deployer)))
    moving = row_of(start(deployer, 2))
    site.baking(moving)
    address = f"/endpoints/{site.endpoint.public_id}/rollback"
    answer = post(deployer, address, {"reason": "wrong"})
    assert answer.status_code == 202, answer.content
    assert answer.json()["target"]["id"] == moving.public_id
    site.finish(moving)
    operation = deployer.get(f"/operations/{answer.json()['id']}").json()
    assert operation["status"] == "succeeded"
    assert site.shares == {1: 100}


def test_a_rollback_that_meets_a_promotion_goes_back_from_what_is_live_then(
    site: Site, deployer: Api
) -> None:
    site.finish(row_of(start(deployer)))
    second = row_of(start(deployer, 2))
    site.baking(second)
    allowed = authorize.require

    def promoted_meanwhile(*asked: Any) -> None:
        allowed(*asked)
        site.finish(second)

    alice = actor(User.objects.get(username="alice"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(authorize, "require", promoted_meanwhile)
        back = services.roll_back(actor=alice, endpoint_id=second.endpoint_id)
    assert back.target_release.version.number == 1


def test_rolling_back_to_a_version_by_number(site: Site, deployer: Api) -> None:
    for version in (1, 2, 3):
        site.finish(row_of(start(deployer, version)))
    address = f"/endpoints/{site.endpoint.public_id}/rollback"
    site.finish(row_of(post(deployer, address, {"to": 1, "reason": None})))
    assert site.shares == {1: 100}
    targets = endpoints.rollback_targets(site.actor, site.endpoint.public_id)
    assert [release.version for release in targets] == [3, 2]
    assert refused_with(post(deployer, address, {"to": 9}), 404, "release:not-found")
    assert refused_with(post(deployer, address, if_match='"v99"'), 412, "stale")


def test_charlie_sees_everything_and_changes_nothing(
    site: Site, deployer: Api, looker: Api
) -> None:
    site.finish(row_of(start(deployer)))
    assert refused_with(start(looker, 2), 403, "auth:not-allowed")
    [endpoint] = looker.get("/endpoints").json()["items"]
    assert "needs endpoint.rollback" in endpoint["cannot_roll_back"]
    [rollout] = looker.get("/rollouts").json()["items"]
    assert rollout["allowed_actions"] == []
    assert set(rollout["disabled_actions"]) == {"pause", "resume", "promote", "abort"}
    logs = looker.get(f"/endpoints/{endpoint['id']}/logs")
    assert refused_with(logs, 403, "auth:not-allowed")


def test_a_team_sees_only_its_own_endpoints(site: Site, deployer: Api) -> None:
    site.finish(row_of(start(deployer)))
    other = people.team("growth")
    user = people.person("mallory")
    people.bind(user, "ml_engineer", scope_kind="team", scope_id=other.pk)
    api = Api(token=people.token(user))
    assert api.get("/endpoints").json()["items"] == []
    assert api.get("/rollouts").json()["items"] == []
    assert api.get("/models").json()["items"] == []
    endpoint, rollout = site.endpoint.public_id, Rollout.objects.get().public_id
    assert refused_with(api.get(f"/endpoints/{endpoint}"), 404, "endpoint:not-found")
    assert refused_with(api.get(f"/rollouts/{rollout}"), 404, "rollout:not-found")
    act = post(api, f"/rollouts/{rollout}/abort", if_match="*")
    assert refused_with(act, 404, "rollout:not-found")


def test_rollouts_are_found_by_what_they_are_about(site: Site, deployer: Api) -> None:
    site.finish(row_of(start(deployer)))
    start(deployer, 2)

    def number(query: str) -> int:
        return len(deployer.get(f"/rollouts?{query}").json()["items"])

    assert number(f"endpoint={site.endpoint.public_id}") == 2
    assert number("phase=pending,done") == 2
    assert number("phase=done&environment=staging&model=tumour") == 1
    assert number("environment=production") == 0
    assert refused_with(deployer.get("/rollouts?phase=flying"), 400, "invalid_phase")
    assert refused_with(deployer.get("/rollouts?endpoint=x"), 404, "endpoint:not-found")


def test_a_rollout_tells_its_story(site: Site, deployer: Api) -> None:
    rollout = site.finish(row_of(start(deployer)))
    told = deployer.get(f"/rollouts/{rollout.public_id}/events").json()["items"]
    assert told[0]["kind"] == "created"
    kinds = {event["kind"] for event in told}
    assert {"provisioning", "routes-changed", "routes-acknowledged", "done"} <= kinds
    card = rollouts.rollout(site.actor, rollout.public_id)
    assert [gateway.name for gateway in card.gateways] == ["east", "west"]


def test_logs_come_from_the_host_without_secrets(
    site: Site, deployer: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.finish(row_of(start(deployer)))
    [copy] = site.copies(1)
    site.host.logs[copy.public_id] = "one\nAuthorization: Bearer abc.def\nthree"
    address = f"/endpoints/{site.endpoint.public_id}/logs"
    [row] = deployer.get(address).json()["items"]
    assert row["text"] == "one\nAuthorization: Bearer ***\nthree"
    assert (row["replica"], row["silent"]) == (copy.public_id, False)
    [row] = deployer.get(f"{address}?replica={copy.public_id}&lines=1").json()["items"]
    assert row["text"] == "three"
    absent = deployer.get(f"{address}?replica=rep_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert refused_with(absent, 404, "replica:not-found")

    def silent(*_: Any) -> Any:
        raise HostSilent("It does not answer.")

    monkeypatch.setattr(hosts, "connect", silent)
    [row] = deployer.get(address).json()["items"]
    assert row["silent"] is True


@pytest.mark.parametrize("address", ["/endpoints", "/rollouts", "/operations", "/environments"])
def test_a_list_costs_as_many_queries_for_many_as_for_one(
    site: Site, deployer: Api, address: str
) -> None:
    site.finish(row_of(start(deployer)))
    site.finish(row_of(start(deployer, 2)))

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert deployer.get(address).status_code == 200
        return len(queries)

    def others(numbers: range) -> None:
        team, artifact = Team.objects.get(name="risk"), Artifact.objects.get()
        for number in numbers:
            model = Model.objects.create(name=f"other-{number}", team=team)
            Version.objects.create(
                model=model, number=1, artifact=artifact, signature=SIGNATURE, sample=SAMPLE
            )
            body = {"model": model.name, "version": 1, "environment": "staging"}
            assert post(deployer, "/rollouts", body).status_code == 202

    others(range(1))
    cost()
    few = cost()
    others(range(1, 5))
    assert Endpoint.objects.count() == 6
    assert cost() == few
    assert few <= 20


def test_pages_get_the_same_values_without_the_api(site: Site, deployer: Api) -> None:
    site.finish(row_of(start(deployer)))
    who = actor(User.objects.get(username="alice"))
    [card] = endpoints.endpoints(who)
    assert card.latest_rollout is not None
    assert card.latest_rollout.status.outcome == "promoted"
    assert [each.number for each in rollouts.of_endpoint(who, card.id)] == [1]
