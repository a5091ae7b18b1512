"""Every address of the API × everybody who should not be there, and Charlie, who may look."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from governance.domain.catalogue import CATALOGUE, PUBLIC, SIGNED_IN, TokenScope
from governance.domain.roles import Role
from governance.models import User
from tests.app.api_conventions.routes import Route, routes
from tests.factories import people
from tests.factories.api import Api

ROUTES = [route for route in routes() if route.action != PUBLIC]
FOR_EVERYONE = SIGNED_IN


def answers(api: Api) -> Iterator[tuple[Route, int]]:
    for route in ROUTES:
        body = None if route.method == "GET" else {}
        yield route, api.send(route.method, route.path, body).status_code


def wrong(api: Api, expected: int, *, but: frozenset[str] = frozenset()) -> list[str]:
    """The routes that answer anything but `expected`."""
    return [
        f"{route}: {status}"
        for route, status in answers(api)
        if route.action not in but and status != expected
    ]


def test_the_matrix_is_not_empty() -> None:
    assert len(ROUTES) > 10


def test_nobody_gets_401_everywhere(anonymous: Api) -> None:
    assert wrong(anonymous, 401) == []


def test_mallory_gets_403_everywhere_but_at_her_own_account(mallory: User) -> None:
    api = Api(token=people.token(mallory))
    assert wrong(api, 403, but=frozenset({FOR_EVERYONE})) == []
    assert api.get("/me").status_code == 200


def test_a_revoked_and_an_expired_token_get_401_everywhere(admin: User) -> None:
    revoked = people.token(admin, revoked=True)
    expired = people.token(admin, expires_in=-timedelta(seconds=1))
    assert wrong(Api(token=revoked), 401) == []
    assert wrong(Api(token=expired), 401) == []


@pytest.mark.parametrize("scope", [scope for scope in TokenScope if scope != TokenScope.ADMIN])
def test_a_token_gets_403_wherever_its_scope_does_not_reach(admin: User, scope: str) -> None:
    within = frozenset(
        name for name, action in CATALOGUE.items() if scope in action.scopes or name == FOR_EVERYONE
    )
    assert wrong(Api(token=people.token(admin, scope)), 403, but=within) == []


def test_charlie_gets_403_wherever_a_viewer_may_nothing_and_nowhere_else(charlie: User) -> None:
    for route, status in answers(Api(token=people.token(charlie))):
        may = Role.VIEWER in CATALOGUE[route.action].roles
        assert (status in (401, 403)) != may, f"{route}: {status}"
        assert status < 500, f"{route}: {status}"


def test_an_admin_is_never_answered_with_our_fault(admin_api: Api) -> None:
    assert [f"{route}: {status}" for route, status in answers(admin_api) if status >= 500] == []
