"""/keys over REST, and opening an endpoint."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core import clock
from deployments.models import Endpoint, EndpointKey, KeyUsage
from governance.models import User
from tests.app.reconcile.conftest import Site
from tests.factories import people
from tests.factories.api import Api, refused_with

pytestmark = pytest.mark.django_db


@pytest.fixture
def live(site: Site) -> Endpoint:
    site.finish(site.start(1))
    return site.endpoint


@pytest.fixture
def alice_api(site: Site) -> Api:
    alice = User.objects.get(username="alice")
    return Api(token=people.token(alice, "keys:write", expires_in=timedelta(days=9)))


def issue(api: Api, **given: Any) -> Any:
    body = {"environment": "staging", "name": "ward 7", "endpoints": ["tumour"], **given}
    return api.post("/keys", body)


def test_the_answer_that_makes_a_key_is_the_only_one_that_holds_it(
    live: Endpoint, alice_api: Api
) -> None:
    made = issue(alice_api, requests_per_minute=60, requests_per_day=1000)
    assert made.status_code == 201, made.content
    body = made.json()
    assert body["key"].count(".") == 2
    assert made["Location"] == f"/api/v1/keys/{body['id']}"
    assert made["ETag"] == '"v1"'
    shown = alice_api.get(f"/keys/{body['id']}")
    assert shown.json() == {name: value for name, value in body.items() if name != "key"}
    assert (body["state"], body["endpoints"], body["created_by"]) == ("active", ["tumour"], "alice")
    assert body["usage"] == [{"endpoint": "tumour", "requests_today": 0, "exhausted": False}]


def test_a_request_that_is_sent_twice_makes_one_key_and_shows_it_twice(
    live: Endpoint, alice_api: Api
) -> None:
    body = {"environment": "staging", "name": "ward 7", "endpoints": ["tumour"]}
    first, second = (alice_api.post("/keys", body, idempotency_key="k1") for _ in range(2))
    assert second.json() == first.json()
    assert EndpointKey.objects.count() == 1


def test_keys_are_listed_by_environment_endpoint_and_state(
    site: Site, live: Endpoint, alice_api: Api
) -> None:
    busy = issue(alice_api, name="busy", requests_per_day=3).json()
    gone = issue(alice_api, name="gone").json()
    soon = issue(alice_api, name="soon", expires_in_days=2).json()
    past = issue(alice_api, name="past", expires_in_days=1).json()
    site.pass_time(86_400)
    key = EndpointKey.objects.get(name="busy")
    KeyUsage.objects.create(key=key, endpoint=live, day=clock.now().date(), requests=3)
    alice_api.post(f"/keys/{gone['id']}/revoke")
    fine = issue(alice_api, name="fine").json()

    def found(query: str) -> set[str]:
        return {row["id"] for row in alice_api.get(f"/keys?{query}").json()["items"]}

    every = {each["id"] for each in (busy, gone, soon, past, fine)}
    assert found("environment=staging") == every
    assert found("environment=production") == set()
    assert found(f"endpoint={live.public_id}") == every
    for state, expected in (
        ("active", {fine["id"]}),
        ("expiring", {soon["id"]}),
        ("exhausted", {busy["id"]}),
        ("expired", {past["id"]}),
        ("revoked", {gone["id"]}),
        ("active,expiring", {fine["id"], soon["id"]}),
    ):
        assert found(f"state={state}") == expected, state
    assert refused_with(alice_api.get("/keys?state=blue"), 400, "invalid_state")
    elsewhere = alice_api.get("/keys?endpoint=end_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert refused_with(elsewhere, 404, "endpoint:not-found")


def test_a_list_costs_as_many_queries_for_many_as_for_one(live: Endpoint, alice_api: Api) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert alice_api.get("/keys").status_code == 200
        return len(captured)

    issue(alice_api)
    queries()
    one = queries()
    for _ in range(5):
        issue(alice_api)
    assert queries() == one


def test_an_edit_needs_what_was_read_last(live: Endpoint, alice_api: Api) -> None:
    made = issue(alice_api, requests_per_day=10)
    address = f"/keys/{made.json()['id']}"
    body = {"name": "ward 8", "requests_per_day": None, "requests_per_minute": 5}
    assert refused_with(alice_api.patch(address, body), 428, "precondition-required")
    changed = alice_api.patch(address, body, if_match=made["ETag"])
    assert changed.status_code == 200, changed.content
    assert changed["ETag"] == '"v2"'
    answer = changed.json()
    assert (answer["name"], answer["requests_per_minute"]) == ("ward 8", 5)
    assert answer["requests_per_day"] is None
    assert "key" not in answer
    assert refused_with(alice_api.patch(address, body, if_match=made["ETag"]), 412, "stale")
    moved = alice_api.patch(address, {"endpoints": []}, if_match="*")
    assert moved.status_code == 422


def test_rotating_answers_with_the_new_key(live: Endpoint, alice_api: Api) -> None:
    old = issue(alice_api).json()
    address = f"/keys/{old['id']}/rotate"
    missing = alice_api.post(address, {}, idempotency_key="r0")
    assert refused_with(missing, 428, "precondition-required")
    made = alice_api.post(address, {"overlap_hours": 1}, if_match='"v1"', idempotency_key="r1")
    assert made.status_code == 201, made.content
    new = made.json()
    assert new["id"] != old["id"]
    assert new["key"].count(".") == 2
    was = alice_api.get(f"/keys/{old['id']}").json()
    assert (was["rotated_to"], was["state"]) == (new["id"], "expiring")
    late = alice_api.post(address, {}, if_match="*", idempotency_key="r2")
    assert refused_with(late, 409, "key:already-rotated")


def test_revoking_works_from_memory_and_twice(live: Endpoint, alice_api: Api) -> None:
    key = issue(alice_api).json()
    for _ in range(2):
        answer = alice_api.post(f"/keys/{key['id']}/revoke")
        assert answer.status_code == 200, answer.content
        assert answer.json()["state"] == "revoked"
    stale = alice_api.post(f"/keys/{key['id']}/revoke", if_match='"v1"')
    assert refused_with(stale, 412, "stale")
    edited = alice_api.patch(f"/keys/{key['id']}", {"name": "x"}, if_match="*")
    assert refused_with(edited, 409, "key:ended")


def test_a_token_manages_keys_only_if_it_was_scoped_for_it(site: Site, live: Endpoint) -> None:
    alice = User.objects.get(username="alice")
    reader = Api(token=people.token(alice, "rollouts:read"))
    assert refused_with(issue(reader), 403, "auth:not-allowed")
    assert reader.get("/keys").json()["items"] == []
    assert issue(Api(token=people.token(alice, "keys:write"))).status_code == 201
    assert len(reader.get("/keys").json()["items"]) == 1


def test_opening_an_endpoint_shows_on_it(live: Endpoint, alice_api: Api, admin_api: Api) -> None:
    address = f"/endpoints/{live.public_id}"
    assert alice_api.get(address).json()["is_open"] is False
    assert refused_with(alice_api.post(f"{address}/open", {}), 403, "auth:not-allowed")
    opened = admin_api.post(f"{address}/open", {"reason": "A public demo."})
    assert (opened.status_code, opened.json()["is_open"]) == (200, True)
    closed = alice_api.post(f"{address}/close", {"reason": None})
    assert (closed.status_code, closed.json()["is_open"]) == (200, False)


@pytest.mark.parametrize("path", ["", "/rotate", "/revoke"])
def test_a_key_that_is_not_there_is_not_found(live: Endpoint, alice_api: Api, path: str) -> None:
    address = f"/keys/key_01ARZ3NDEKTSV4RRFFQ69G5FAV{path}"
    method = "POST" if path else "GET"
    answer = alice_api.send(method, address, {}, idempotency_key="k", if_match="*")
    assert refused_with(answer, 404, "key:not-found")
