"""Coming in: login links, passwords, and the doors that are not there."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.contrib.auth import get_user
from django.core.management import CommandError, call_command
from django.test import Client

from governance.domain.access import SYSTEM
from governance.models import ApiToken, AuditEvent, LoginLink, User
from governance.services import login_links
from tests.factories import people
from tests.factories.api import Api

pytestmark = pytest.mark.django_db


@pytest.fixture
def path(alice: User) -> str:
    return f"/accounts/link/{login_links.make(actor=SYSTEM, username='alice')}"


def signed_in(client: Client) -> str:
    user = get_user(client)  # type: ignore[arg-type]
    return str(getattr(user, "username", ""))


def test_a_link_from_the_terminal_signs_in_at_once_and_only_once(path: str) -> None:
    first, second = Client(), Client()
    response = first.get(path)
    assert (response.status_code, response["Location"]) == (302, "/")
    assert signed_in(first) == "alice"
    assert second.get(path).status_code == 410
    assert signed_in(second) == ""
    assert "account.signed_in" in set(AuditEvent.objects.values_list("action", flat=True))


def test_a_link_is_kept_from_caches_and_from_other_sites(path: str) -> None:
    response = Client().get(path)
    assert response["Referrer-Policy"] == "no-referrer"
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}, {"X-Moz": "prefetch"}],
)
def test_a_browser_that_looks_ahead_uses_nothing_up(path: str, headers: dict[str, str]) -> None:
    client = Client()
    assert client.get(path, headers=headers).status_code == 204
    assert client.head(path).status_code == 204
    assert signed_in(client) == ""
    assert client.get(path).status_code == 302


def test_a_link_that_another_site_sent_somebody_to_asks_first(path: str) -> None:
    client = Client()
    response = client.get(path, headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 200
    assert b"Sign in as Alice?" in response.content
    assert signed_in(client) == ""
    assert client.post(path).status_code == 302
    assert signed_in(client) == "alice"


def test_whoever_is_signed_in_as_another_is_asked_first(path: str, bob: User) -> None:
    client = Client()
    client.force_login(bob)
    assert client.get(path).status_code == 200
    assert signed_in(client) == "bob"


def test_confirming_needs_the_page_that_asked(path: str) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post(path).status_code == 403
    assert LoginLink.objects.get().used_at is None


@pytest.mark.parametrize("secret", ["x", "%00", "é" * 50, "a" * 5000])
def test_a_link_that_never_was_is_a_clear_page(secret: str) -> None:
    response = Client().get(f"/accounts/link/{secret}")
    assert response.status_code == 410
    assert b"no longer works" in response.content


def test_the_link_of_an_account_that_was_disabled_is_spent(path: str, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert Client().get(path).status_code == 410


def test_signing_in_changes_the_session_id(path: str, bob: User) -> None:
    client = Client()
    client.force_login(bob)
    before = client.session.session_key
    client.post(path)
    assert client.session.session_key != before


def test_a_password_signs_in_and_a_wrong_one_does_not() -> None:
    people.person("alice", password=people.PASSWORD)
    client = Client()
    wrong = client.post("/accounts/login/", {"login": "alice", "password": "nonsense"})
    assert wrong.status_code == 200
    assert signed_in(client) == ""
    right = client.post("/accounts/login/", {"login": "alice", "password": people.PASSWORD})
    assert right.status_code == 302
    assert signed_in(client) == "alice"
    assert list(AuditEvent.objects.values_list("action", flat=True)) == ["account.signed_in"]


def test_a_machine_does_not_sign_in_with_a_password() -> None:
    people.person("ci", kind=User.Kind.SERVICE, password=people.PASSWORD)
    client = Client()
    client.post("/accounts/login/", {"login": "ci", "password": people.PASSWORD})
    assert signed_in(client) == ""


@pytest.mark.parametrize("path", ["signup/", "password/reset/", "email/", "signup/passkey/"])
def test_nobody_makes_an_account_or_a_password_out_of_nothing(path: str) -> None:
    client = Client(raise_request_exception=False)
    assert client.get(f"/accounts/{path}").status_code == 404
    assert client.post(f"/accounts/{path}", {"username": "eve"}).status_code == 404
    assert not User.objects.exists()


def test_the_account_pages_send_strangers_to_sign_in() -> None:
    for path in ("password/change/", "2fa/", "2fa/totp/activate/", "2fa/recovery-codes/"):
        response = Client().get(f"/accounts/{path}")
        assert response.status_code == 302
        assert "/accounts/login/" in response["Location"]


def bootstrap(*arguments: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("bootstrap_admin", *arguments, stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def test_the_machines_owner_makes_the_first_admin_and_comes_in() -> None:
    answer = bootstrap("--token")
    assert answer["username"] == "admin"
    assert answer["created"] is True
    client = Client()
    assert client.get(answer["login_path"]).status_code == 302
    assert signed_in(client) == "admin"
    assert Api(token=answer["token"]).post("/teams", {"name": "risk"}).status_code == 201


def test_repeating_it_shows_no_password_and_ends_the_earlier_token() -> None:
    first, second = bootstrap("--token"), bootstrap("--token")
    assert "password" in first
    assert "password" not in second
    assert Api(token=first["token"]).get("/me").status_code == 401
    assert Api(token=second["token"]).get("/me").status_code == 200
    assert User.objects.count() == 1
    assert ApiToken.objects.count() == 2


def test_a_login_link_is_printed_as_an_address(alice: User) -> None:
    out = io.StringIO()
    call_command("login_link", "alice", stdout=out)
    assert Client().get(out.getvalue().strip()).status_code == 302


def test_a_login_link_for_nobody_is_one_clear_line() -> None:
    with pytest.raises(CommandError, match="no person 'nobody'"):
        call_command("login_link", "nobody")


def test_after_five_wrong_passwords_even_the_right_one_waits() -> None:
    people.person("alice", password=people.PASSWORD)
    client = Client()
    for _ in range(5):
        client.post("/accounts/login/", {"login": "alice", "password": "nonsense"})
    right = client.post("/accounts/login/", {"login": "alice", "password": people.PASSWORD})
    assert right.status_code == 200
    assert b"Too many failed" in right.content
    assert signed_in(client) == ""


@pytest.mark.parametrize("page", ["password/change/", "2fa/"])
def test_no_browser_keeps_the_pages_of_an_account(alice: User, page: str) -> None:
    client = Client()
    client.force_login(alice)
    assert "no-store" in client.get(f"/accounts/{page}")["Cache-Control"]


def created(*arguments: str) -> dict[str, str]:
    out = io.StringIO()
    call_command("create_account", *arguments, stdout=out)
    answer: dict[str, str] = json.loads(out.getvalue())
    return answer


def test_a_colleague_gets_an_account_a_role_and_a_link_to_come_in() -> None:
    made, client = created("charlie", "--role", "viewer"), Client()
    client.get(made["login_path"])
    assert client.get("/api/v1/me").json()["username"] == "charlie"
    assert [role["role"] for role in client.get("/api/v1/me").json()["roles"]] == ["viewer"]
    with pytest.raises(CommandError, match="already"):
        created("charlie")


def test_a_machine_gets_an_account_that_never_signs_in() -> None:
    made = created("ci", "--service", "--role", "ml_engineer")
    assert "login_path" not in made
    bearer = {"authorization": f"Bearer {made['token']}"}
    assert Client().get("/api/v1/me", headers=bearer).json()["username"] == "ci"
    assert User.objects.get(username="ci").kind == User.Kind.SERVICE
