"""Who is asking: tokens and sessions."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from core import clock
from governance.models import ApiToken, RoleBinding, User
from tests.factories import people
from tests.factories.api import Api, refused_with


def test_a_token_is_its_owner_narrowed_to_its_scopes(alice: User) -> None:
    me = Api(token=people.token(alice, "models:read")).get("/me").json()
    assert me["username"] == "alice"
    assert me["token"]["scopes"] == ["models:read"]
    assert me["roles"][0]["role"] == "ml_engineer"
    assert me["roles"][0]["scope"]["name"] == "risk"


def test_a_session_is_the_whole_person(alice: User) -> None:
    me = Api(user=alice).get("/me").json()
    assert me["username"] == "alice"
    assert "token" not in me


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer x", "Basic YTpi", "slw_", "Bearer " + "x" * 10_000, "Bearer \xff", "  "],
)
def test_an_authorization_header_that_holds_no_token_is_401(db: None, header: str) -> None:
    response = Api().get("/me", authorization=header)
    assert response.status_code == 401


def test_a_wrong_token_is_refused_even_with_a_good_session(alice: User) -> None:
    response = Api(user=alice).get("/me", authorization="Bearer nonsense")
    assert refused_with(response, 401, "auth:bad-credentials")


def test_a_token_ends_when_it_expires_or_is_revoked_or_its_owner_is_disabled(alice: User) -> None:
    dead = [
        people.token(alice, expires_in=timedelta(0)),
        people.token(alice, revoked=True),
    ]
    alive = people.token(alice)
    for text in dead:
        assert refused_with(Api(token=text).get("/me"), 401, "auth:bad-credentials")
    assert Api(token=alive).get("/me").status_code == 200
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert refused_with(Api(token=alive).get("/me"), 401, "auth:bad-credentials")


def test_revoking_counts_from_the_next_request_on(alice: User) -> None:
    api = Api(token=people.token(alice))
    mine = api.get("/tokens").json()["items"][0]["id"]
    assert api.delete(f"/tokens/{mine}").status_code == 204
    assert api.get("/me").status_code == 401


def test_the_same_lookup_with_another_secret_is_refused(alice: User) -> None:
    text = people.token(alice)
    ApiToken.objects.update(digest="0" * 64)
    assert Api(token=text).get("/me").status_code == 401


def test_when_a_token_was_used_is_written_once_a_minute(alice: User) -> None:
    api = Api(token=people.token(alice))
    api.get("/me")
    first = ApiToken.objects.get().last_used_at
    api.get("/me")
    assert first is not None
    assert ApiToken.objects.get().last_used_at == first
    later = clock.now() + timedelta(minutes=2)
    with clock.at(lambda: later):
        api.get("/me")
    assert ApiToken.objects.get().last_used_at == later


def test_a_session_changes_nothing_without_its_csrf_token(admin: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)
    body = {"name": "risk"}
    response = client.post("/api/v1/teams", body, content_type="application/json")
    assert response.status_code == 403
    assert response["Content-Type"] == "application/problem+json"


def test_a_session_with_its_csrf_token_may_send_an_idempotency_key(admin: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)
    client.get("/")  # a page sets the cookie
    headers = {
        "X-CSRFToken": client.cookies["csrftoken"].value,
        "Idempotency-Key": "the-first",
    }
    answers = [
        client.post("/api/v1/teams", body, content_type="application/json", headers=headers)
        for body in ({"name": "risk"}, {"name": "risk"}, {"name": "fraud"})
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 422]
    assert answers[1].headers["Idempotency-Replayed"] == "true"


def test_a_token_needs_no_csrf_token(admin: User) -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post(
        "/api/v1/teams",
        {"name": "risk"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {people.token(admin)}"},
    )
    assert response.status_code == 201


def test_a_session_ends_12_hours_after_it_began(alice: User) -> None:
    start, api = clock.now(), Api(user=alice)
    for minutes in range(0, 12 * 60, 20):
        now = start + timedelta(minutes=minutes)
        with clock.at(lambda now=now: now):  # type: ignore[misc]
            assert api.get("/me").status_code == 200
    with clock.at(lambda: start + timedelta(hours=12)):
        assert api.get("/me").status_code == 401


def test_a_session_ends_after_half_an_hour_in_which_nobody_was_there(alice: User) -> None:
    start, api = clock.now(), Api(user=alice)
    assert api.get("/me").status_code == 200
    with clock.at(lambda: start + timedelta(minutes=20)):
        # A page that refreshes itself is nobody.
        assert api.get("/me", x_slipway_background="1").status_code == 200
    with clock.at(lambda: start + timedelta(minutes=31)):
        assert api.get("/me").status_code == 401


def test_an_expired_role_is_not_listed_as_ones_own(charlie: User) -> None:
    RoleBinding.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    assert Api(user=charlie).get("/me").json()["roles"] == []
