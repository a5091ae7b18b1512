"""Keys in the browser: shown once, changed, rotated, revoked; and the door of an endpoint."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from core import clock
from deployments.models import Endpoint, EndpointKey, KeyUsage
from deployments.services import keys
from tests.app.frontend.conftest import ENDPOINT, HX, text
from tests.app.frontend.test_queries import count, more_models
from tests.app.reconcile.conftest import Site

LIST = "/keys?environment=staging"
NEW = {"environment": "staging", "name": "ward 7", "endpoints": ["tumour"]}


def issued(site: Site, **given: Any) -> EndpointKey:
    wanted = {"environment": "staging", "name": "ward 7", "endpoints": ["tumour"], **given}
    return keys.issue(actor=site.actor, **wanted).key


def test_a_key_is_shown_once(serving: Site, as_alice: Client) -> None:
    entered = {**NEW, "expires_in_days": "30", "requests_per_day": "500"}
    made = text(as_alice.post("/keys/new/issue", entered))
    key = EndpointKey.objects.get()
    assert key.requests_per_day == 500
    assert key.requests_per_minute is None
    shown = re.search(r'id="new-endpoint-key"[^>]*><code>([^<]+)<', made)
    assert shown
    assert shown[1].count(".") == 2
    for path in (LIST, f"/keys/{key.public_id}", ENDPOINT):
        assert shown[1].rpartition(".")[2] not in text(as_alice.get(path))


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"endpoints": []}, "no_endpoints"),
        ({"expires_in_days": "36500"}, "out_of_bounds"),
        ({"requests_per_minute": "many"}, "out_of_bounds"),
        ({"name": " "}, "invalid_name"),
    ],
)
def test_a_wrong_field_keeps_what_was_entered(
    serving: Site, as_alice: Client, wrong: dict[str, Any], code: str
) -> None:
    response = as_alice.post(
        "/keys/new/issue", {**NEW, "expires_in_days": "90", "requests_per_day": "77", **wrong}
    )
    assert response.status_code == 422
    page = text(response)
    assert code in page
    assert 'value="77"' in page
    assert not EndpointKey.objects.exists()


def test_the_list_says_what_is_used_of_the_limit(serving: Site, as_charlie: Client) -> None:
    key = issued(serving, requests_per_day=1000)
    KeyUsage.objects.create(
        key=key, endpoint=serving.endpoint, day=clock.now().date(), requests=1000
    )
    page = text(as_charlie.get(LIST))
    assert "tumour: 1,000 of 1,000" in page
    assert "Used up today" in page
    assert "Used up today" in text(as_charlie.get(f"/keys/{key.public_id}"))
    assert "1,000 of 1,000" in text(as_charlie.get(ENDPOINT))


def test_those_that_ended_are_listed_when_all_are_asked_for(
    serving: Site, as_alice: Client
) -> None:
    key = issued(serving)
    keys.revoke(actor=serving.actor, key_id=key.public_id)
    assert "ward 7" not in text(as_alice.get(LIST))
    everything = text(as_alice.get(f"{LIST}&show=all"))
    assert "ward 7" in everything
    assert "Revoked" in everything
    one = text(as_alice.get(f"/keys/{key.public_id}"))
    assert "Rotate" not in one, "what has ended has no buttons"


def test_an_empty_list_gives_the_command_that_fills_it(serving: Site, as_alice: Client) -> None:
    page = text(as_alice.get(LIST))
    assert "slipway keys issue NAME --endpoint tumour -e staging" in page


def test_before_the_first_rollout_there_is_nothing_to_issue_a_key_for(
    site: Site, as_alice: Client
) -> None:
    page = text(as_alice.get(LIST))
    assert "roll out a version first" in page
    assert "Issue the key" not in page


def test_charlie_sees_keys_and_why_they_issue_none(serving: Site, as_charlie: Client) -> None:
    key = issued(serving)
    page = text(as_charlie.get(LIST))
    assert "ward 7" in page
    assert "needs key.issue" in page
    assert "Issue the key" not in page
    one = text(as_charlie.get(f"/keys/{key.public_id}"))
    assert one.count("disabled aria-describedby") == 2
    assert 'data-dialog-open="revoke-key"' not in one


def test_a_key_is_changed_by_whoever_saw_it_as_it_is(serving: Site, as_alice: Client) -> None:
    key = issued(serving, requests_per_day=10)
    path = f"/keys/{key.public_id}/edit"
    fields = {"name": "ward 8", "endpoints": ["tumour"], "requests_per_day": "", "revision": "1"}
    answer = as_alice.post(path, fields)
    assert answer["Location"] == f"/keys/{key.public_id}"
    key.refresh_from_db()
    assert (key.name, key.requests_per_day) == ("ward 8", None)
    late = as_alice.post(path, {**fields, "name": "ward 9"})
    assert late.status_code == 409
    assert 'value="ward 9"' in text(late)


def test_rotating_shows_the_new_key_on_its_page(serving: Site, as_alice: Client) -> None:
    old = issued(serving)
    fields = {"revision": "1", "overlap_hours": "0"}
    page = text(as_alice.post(f"/keys/{old.public_id}/rotate", fields))
    assert "Copy the key “ward 7” now" in page
    old.refresh_from_db()
    assert old.rotated_to is not None
    was = text(as_alice.get(f"/keys/{old.public_id}"))
    assert f'href="/keys/{old.rotated_to.public_id}"' in was
    assert "Expired" in was


def test_revoking_is_one_press_and_says_so(serving: Site, as_alice: Client) -> None:
    key = issued(serving)
    page = text(as_alice.post(f"/keys/{key.public_id}/revoke", follow=True))
    assert "is revoked; gateways refuse it" in page


@pytest.mark.parametrize("verb", ["edit", "rotate", "revoke"])
def test_charlie_and_mallory_change_no_key_by_posting_themselves(
    serving: Site, as_charlie: Client, as_mallory: Client, verb: str
) -> None:
    key = issued(serving)
    fields = {"name": "mine", "endpoints": ["tumour"], "revision": "1", "overlap_hours": "0"}
    for client in (as_charlie, as_mallory):
        assert client.post(f"/keys/{key.public_id}/{verb}", fields).status_code in (403, 404)
        assert client.post("/keys/new/issue", {**NEW, **fields}).status_code == 403
    key.refresh_from_db()
    assert (key.name, key.revoked_at, key.rotated_to) == ("ward 7", None, None)
    assert EndpointKey.objects.count() == 1


def test_the_endpoint_names_its_keys_and_how_to_send_one(serving: Site, as_charlie: Client) -> None:
    empty = text(as_charlie.get(ENDPOINT))
    assert "No key is in force, so every client is refused." in empty
    key = issued(serving)
    page = text(as_charlie.get(ENDPOINT))
    assert f'<a href="/keys/{key.public_id}">ward 7</a>' in page
    assert "Authorization: Bearer $SLIPWAY_ENDPOINT_KEY" in page
    assert "Clients with one of these keys." in page


def test_an_open_endpoint_says_so_plainly(
    serving: Site, as_admin: Client, as_charlie: Client
) -> None:
    warning = text(as_admin.get(ENDPOINT))
    assert "Whoever reaches the gateway may then ask this endpoint" in warning
    answer = as_admin.post(f"{ENDPOINT}/open", {"reason": "A public demo."}, headers=HX)
    assert answer.status_code == 200, answer.content
    assert "<strong>Open.</strong>" in text(answer)
    page = text(as_charlie.get(ENDPOINT))
    assert "Whoever reaches the gateway may ask this endpoint, without a key." in page
    assert "SLIPWAY_ENDPOINT_KEY" not in page
    assert "Clients need no key" in text(as_charlie.get("/"))
    assert as_charlie.post(f"{ENDPOINT}/close").status_code == 403
    as_admin.post(f"{ENDPOINT}/close", headers=HX)
    assert "<strong>Open.</strong>" not in text(as_charlie.get(ENDPOINT))
    assert not Endpoint.objects.get().is_open


def test_an_engineer_sees_why_opening_is_not_theirs(serving: Site, as_alice: Client) -> None:
    page = text(as_alice.get(ENDPOINT))
    assert "needs endpoint.open" in page
    assert as_alice.post(f"{ENDPOINT}/open", headers=HX).status_code == 403


def test_more_keys_and_endpoints_cost_no_more_queries(serving: Site, as_alice: Client) -> None:
    key = issued(serving)
    paths = (LIST, ENDPOINT, f"/keys/{key.public_id}")
    before = {path: count(as_alice, path) for path in paths}
    more_models(serving, 3)
    for index in range(3):
        issued(serving, name=f"more {index}", endpoints=["tumour", f"more-{index}"])
    assert {path: count(as_alice, path) for path in paths} == before
