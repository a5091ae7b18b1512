"""Two at once: each of these is decided by the database, not by who looked first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from core.errors import ControlPlaneError
from governance.domain.access import SYSTEM
from governance.models import AuditEvent, RoleBinding, Team, User
from governance.services import accounts, login_links, members
from tests.factories import people
from tests.factories.api import Api

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*attempts: Callable[[], Any]) -> list[Any]:
    """What each answered, or the error that it raised; all start together."""
    start = threading.Barrier(len(attempts))

    def run(attempt: Callable[[], Any]) -> Any:
        start.wait(timeout=10)
        try:
            return attempt()
        except ControlPlaneError as problem:
            return problem
        finally:
            connection.close()

    with ThreadPoolExecutor(len(attempts)) as pool:
        return list(pool.map(run, attempts))


def test_one_request_sent_six_times_at_once_happens_once() -> None:
    admin = people.person("admin")
    people.bind(admin, "org_admin")
    token = people.token(admin)

    def send() -> tuple[int, bool]:
        response = Api(token=token).post("/teams", {"name": "risk"}, idempotency_key="k1")
        return response.status_code, "Idempotency-Replayed" in response

    answers = at_once(*[send] * 6)
    assert answers.count((201, False)) == 1
    assert set(answers) <= {(201, False), (201, True), (409, False)}
    assert Team.objects.count() == 1
    assert AuditEvent.objects.filter(action="team.create").count() == 1


def test_a_login_link_opened_twice_at_once_lets_one_in() -> None:
    people.person("alice")
    secret = login_links.make(actor=SYSTEM, username="alice")
    answers = at_once(*[lambda: login_links.use(secret)] * 4)
    assert sum(isinstance(answer, User) for answer in answers) == 1


def test_two_admins_cannot_remove_each_other_at_once() -> None:
    first, second = people.person("first"), people.person("second")
    bindings = {user.pk: people.bind(user, "org_admin") for user in (first, second)}

    def remove(by: User, whom: User) -> Callable[[], None]:
        return lambda: members.revoke(actor=people.actor(by), binding_id=bindings[whom.pk].pk)

    at_once(remove(first, second), remove(second, first))
    assert RoleBinding.objects.filter(role="org_admin").count() >= 1


def test_the_first_admin_is_made_once_by_two_programs_at_once() -> None:
    at_once(accounts.bootstrap_admin, accounts.bootstrap_admin)
    assert User.objects.count() == 1
    assert RoleBinding.objects.count() == 1


def test_two_first_events_of_one_account_share_one_pseudonym() -> None:
    admin = people.person("admin")
    people.bind(admin, "org_admin")
    token = people.token(admin)
    at_once(
        *[
            lambda name=name: Api(token=token).post("/teams", {"name": name})  # type: ignore[misc]
            for name in ("a", "b", "c", "d")
        ]
    )
    assert AuditEvent.objects.count() == 4
    assert len(set(AuditEvent.objects.values_list("actor_ref", flat=True))) == 1
