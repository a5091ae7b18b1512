"""How the API says no: always problem+json, always the right status, never a trace."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DataError, OperationalError
from django.test import Client

from core import errors
from governance.models import Team
from governance.services import teams
from tests.factories.api import Api, refused_with


def test_an_address_that_nothing_has_is_a_problem_too(anonymous: Api) -> None:
    assert refused_with(anonymous.get("/nothing/here"), 404, "not-found")


def test_a_page_that_nothing_has_is_a_page(db: None) -> None:
    response = Client().get("/nothing/here")
    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")


def test_a_method_that_an_address_lacks_is_405_and_says_which_it_has(admin_api: Api) -> None:
    response = admin_api.delete("/teams")
    assert refused_with(response, 405, "method-not-allowed")
    assert set(response["Allow"].split(", ")) == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "BREW"])
def test_an_unheard_of_method_is_405(admin_api: Api, method: str) -> None:
    assert refused_with(admin_api.send(method, "/teams"), 405, "method-not-allowed")


def test_only_json_is_answered(admin_api: Api) -> None:
    assert refused_with(admin_api.get("/teams", accept="text/html"), 406, "not-acceptable")


def test_only_json_is_read(admin_api: Api) -> None:
    response = admin_api.post("/teams", b"name=risk", content_type="text/plain")
    assert refused_with(response, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "body",
    [
        b" ",
        b"{",
        b"nonsense",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": "a", "name": "b"}',
        b"\xff\xfe",
        b'{"name": "\xed\xa0\x80"}',
        b'{"name": "\\uD800"}',
        b'{"\\udfff": 1}',
        b"[" * 200_000,
        b'{"a":' * 30_000 + b"1" + b"}" * 30_000,
        b'{"name": ' + b"9" * 10_000 + b"}",
        b'{"name": ' + b"[" * 60 + b"]" * 60 + b"}",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_a_body_that_is_no_json_is_malformed(admin_api: Api, body: bytes) -> None:
    assert refused_with(admin_api.post("/teams", body), 400, "invalid_json")


def test_a_character_in_two_halves_is_one_character(admin_api: Api) -> None:
    response = admin_api.post("/teams", b'{"name": "risk", "title": "\\ud83d\\udea2"}')
    assert response.json()["title"] == "\N{SHIP}"


@pytest.mark.parametrize("body", [[], "text", 5, None, True, [{"name": "risk"}]])
def test_json_that_is_no_object_is_not_valid(admin_api: Api, body: Any) -> None:
    sent = b"null" if body is None else body
    assert refused_with(admin_api.post("/teams", sent), 422, "invalid")


def test_a_body_beyond_the_limit_is_too_large(admin_api: Api) -> None:
    response = admin_api.post("/teams", b'"' + b"x" * (3 * 1024**2) + b'"')
    assert refused_with(response, 413, "too-large")


def test_every_wrong_place_is_pointed_at(admin_api: Api) -> None:
    response = admin_api.post("/members", {"username": 5, "role": "king", "scope": {"kind": []}})
    assert refused_with(response, 422, "invalid")
    found = {(one["pointer"], one["code"]) for one in response.json()["errors"]}
    assert found == {
        ("/username", "not_text"),
        ("/role", "invalid_choice"),
        ("/scope/kind", "not_text"),
    }


def test_a_change_is_not_made_with_a_parameter_ignored(admin_api: Api) -> None:
    answer = admin_api.post("/teams?dry_run=true", {"name": "risk"})
    assert refused_with(answer, 400, "unknown_parameter")
    assert admin_api.get("/teams").json()["items"] == []


def test_an_unknown_field_is_an_error_and_not_ignored(admin_api: Api) -> None:
    response = admin_api.post("/teams", {"name": "risk", "owner~/x": "alice"})
    assert refused_with(response, 422, "unknown_field")
    assert response.json()["errors"][0]["pointer"] == "/owner~0~1x"
    assert not Team.objects.exists()


@pytest.mark.parametrize("value", ["a\u0000b", {"deep": 1}, 10**30, 1.5, True])
def test_a_value_that_no_column_could_hold_is_not_valid(admin_api: Api, value: Any) -> None:
    response = admin_api.post("/teams", {"name": "risk", "title": value})
    assert response.status_code == 422


def test_nobody_is_asked_to_sign_in_by_401(anonymous: Api) -> None:
    response = anonymous.get("/teams")
    assert refused_with(response, 401, "auth:not-signed-in")
    assert response["WWW-Authenticate"].startswith("Bearer")


def raising(problem: Exception) -> Any:
    def create(**_: Any) -> None:
        raise problem

    return create


@pytest.mark.parametrize(
    ("problem", "status", "code"),
    [
        (errors.Malformed("x"), 400, "malformed"),
        (errors.NotSignedIn("x"), 401, "auth:not-signed-in"),
        (errors.NotAllowed("x"), 403, "auth:not-allowed"),
        (errors.NotFound("x"), 404, "not-found"),
        (errors.Conflict("x", code="rollout:already-active"), 409, "rollout:already-active"),
        (errors.Stale("x"), 412, "stale"),
        (errors.TooLarge("x"), 413, "too-large"),
        (errors.Invalid("x"), 422, "invalid"),
        (errors.Precondition("x"), 428, "precondition-required"),
        (errors.TooMany("x"), 429, "rate-limited"),
        (errors.Refused("x"), 400, "refused"),
        (errors.Unavailable("x"), 503, "unavailable"),
        (errors.Broken("secret detail"), 500, "broken"),
        (ZeroDivisionError("secret detail"), 500, "broken"),
        (DataError("secret detail"), 422, "invalid"),
        (OperationalError("secret detail"), 503, "unavailable"),
    ],
)
def test_each_class_of_error_has_its_status_and_tells_no_secret(
    admin_api: Api,
    monkeypatch: pytest.MonkeyPatch,
    problem: Exception,
    status: int,
    code: str,
) -> None:
    monkeypatch.setattr(teams, "create", raising(problem))
    response = admin_api.post("/teams", {"name": "risk"})
    assert refused_with(response, status, code)
    assert b"secret" not in response.content
    assert b"Traceback" not in response.content
    assert ("Retry-After" in response) == (status == 503)


def test_more_that_an_error_knows_is_told_but_changes_no_standard_member(
    admin_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = errors.Conflict(
        "Not now.", help_text="slipway wait", extra={"allowed_actions": ["abort"], "status": 200}
    )
    monkeypatch.setattr(teams, "create", raising(problem))
    shown = admin_api.post("/teams", {"name": "risk"}).json()
    assert shown["allowed_actions"] == ["abort"]
    assert shown["help"] == "slipway wait"
    assert shown["status"] == 409


def test_a_request_keeps_the_plain_id_that_its_sender_gave_it(anonymous: Api) -> None:
    assert anonymous.get("/me", x_request_id="build-42")["X-Request-Id"] == "build-42"


@pytest.mark.parametrize("offered", ["", "x" * 65, "a b", "é", '"; drop'])
def test_a_request_id_that_could_harm_a_log_is_replaced(anonymous: Api, offered: str) -> None:
    given = anonymous.get("/me", x_request_id=offered)["X-Request-Id"]
    assert given != offered
    assert given.startswith("req_")


@pytest.mark.parametrize(
    "path",
    [
        "/teams?limit=%00",
        "/teams?cursor=%00",
        "/audit-events?object=%00",
        "/audit-events?actor=%ff%fe",
        "/audit-events?object=" + "9" * 5000,
        "/audit-events?occurred_after=yesterday",
        "/audit-events?occurred_after=0001-01-01T00:00:00%2B14:00",
        "/audit-events?occurred_before=9999-12-31T23:59:59-14:00",
        "/teams/%00",
        "/teams/%ff",
        "/teams/..%2f..",
        "/tokens/tok_%00",
        "/tokens/" + "9" * 5000,
        "/audit-events/evt_" + "Z" * 26,
        "/audit-events/evt_" + "7" * 26,
        "/audit-events/tok_" + "7" * 26,
    ],
)
def test_garbage_in_an_address_is_the_callers_mistake(admin_api: Api, path: str) -> None:
    for method in ("GET", "DELETE"):
        assert 200 <= admin_api.send(method, path).status_code < 500
