"""Cursor pages: nothing twice, nothing missed, whatever comes and goes meanwhile."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest

from core import clock
from governance.models import Team, User
from governance.services import teams
from tests.factories import people
from tests.factories.api import Api, refused_with


@pytest.fixture
def seven(db: None) -> list[str]:
    """Seven teams, of which two were made at the same moment."""
    start = clock.now() - timedelta(minutes=1)
    for number in range(7):
        at = start + timedelta(seconds=min(number, 5))
        Team.objects.create(name=f"team-{number}", created_at=at)
    return [f"team-{number}" for number in reversed(range(7))]


def walk(api: Api, path: str) -> list[str]:
    names: list[str] = []
    answer = api.get(path).json()
    while True:
        names += [item["name"] for item in answer["items"]]
        if answer["next_cursor"] is None:
            return names
        answer = api.get(f"{path}&cursor={answer['next_cursor']}").json()


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 200])
def test_walking_the_pages_shows_each_row_once_newest_first(
    admin_api: Api, seven: list[str], limit: int
) -> None:
    assert walk(admin_api, f"/teams?limit={limit}") == seven


def test_the_order_can_be_turned_round(admin_api: Api, seven: list[str]) -> None:
    assert walk(admin_api, "/teams?limit=3&sort=created_at") == seven[::-1]


def test_a_row_that_comes_meanwhile_moves_no_other(admin_api: Api, seven: list[str]) -> None:
    first = admin_api.get("/teams?limit=4").json()
    Team.objects.create(name="newer")
    Team.objects.filter(name="team-5").delete()
    second = admin_api.get(f"/teams?limit=4&cursor={first['next_cursor']}").json()
    assert [item["name"] for item in second["items"]] == seven[4:]


def test_the_link_header_leads_to_the_next_page(admin_api: Api, seven: list[str]) -> None:
    response = admin_api.get("/teams?limit=4")
    address, _, relation = response["Link"].partition("; ")
    assert relation == 'rel="next"'
    path = address.strip("<>").partition("/api/v1")[2]
    assert [item["name"] for item in admin_api.get(path).json()["items"]] == seven[4:]
    assert "Link" not in admin_api.get("/teams?limit=7")


def packed(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "=",
        "....",
        packed({}),
        packed([1]),
        packed([10**30, "A"]),
        packed([-1, "A"]),
        packed([True, "A"]),
        packed([1.5, "A"]),
        packed([1, "\u0000"]),
        packed([1, 5]),
        packed([1, "x" * 100]),
    ],
)
def test_a_cursor_that_we_never_gave_is_malformed(admin_api: Api, cursor: str) -> None:
    assert refused_with(admin_api.get(f"/teams?cursor={cursor}"), 400, "invalid_cursor")


def test_a_cursor_of_another_list_is_malformed(admin_api: Api, admin: User) -> None:
    for name in ("risk", "fraud"):
        teams.create(actor=people.actor(admin), name=name)
    cursor = admin_api.get("/teams?limit=1").json()["next_cursor"]
    assert refused_with(admin_api.get(f"/audit-events?cursor={cursor}"), 400, "invalid_cursor")


@pytest.mark.parametrize("limit", ["0", "201", "-1", "many", "1.5", "9" * 30, ""])
def test_a_limit_is_a_number_from_1_to_200(admin_api: Api, limit: str) -> None:
    assert refused_with(admin_api.get(f"/teams?limit={limit}"), 400, "invalid_limit")


def test_a_list_is_sorted_by_nothing_else(admin_api: Api) -> None:
    assert refused_with(admin_api.get("/teams?sort=title"), 400, "invalid_sort")


def test_a_list_can_begin_and_end_at_a_moment(admin_api: Api, seven: list[str]) -> None:
    moment = Team.objects.get(name="team-3").created_at.isoformat().replace("+00:00", "Z")
    assert walk(admin_api, f"/teams?limit=2&created_after={moment}") == seven[:4]
    assert walk(admin_api, f"/teams?limit=2&created_before={moment}") == seven[4:]
    assert refused_with(admin_api.get("/teams?created_after=now"), 400, "invalid_parameter")


def test_a_list_counts_what_is_on_all_pages_when_asked(admin_api: Api, seven: list[str]) -> None:
    first = admin_api.get("/teams?limit=3&count=exact").json()
    second = admin_api.get(f"/teams?limit=3&count=exact&cursor={first['next_cursor']}").json()
    assert first["count"] == second["count"] == len(seven)
    assert "count" not in admin_api.get("/teams").json()
    assert refused_with(admin_api.get("/teams?count=about"), 400, "invalid_parameter")
