"""Nobody overwrites what they have not read."""

from __future__ import annotations

import pytest

from governance.models import Team
from tests.factories.api import Api, refused_with


def test_a_thing_carries_its_revision_as_a_strong_etag(admin_api: Api, risk: Team) -> None:
    assert admin_api.get("/teams/risk")["ETag"] == '"v1"'


def test_a_change_needs_the_etag_and_says_which(admin_api: Api, risk: Team) -> None:
    response = admin_api.patch("/teams/risk", {"title": "New"})
    assert refused_with(response, 428, "precondition-required")
    assert response.json()["etag"] == '"v1"'


@pytest.mark.parametrize("tag", ['"v1"', "*", '"v9", "v1"'])
def test_a_change_with_the_right_etag_answers_the_next(
    admin_api: Api, risk: Team, tag: str
) -> None:
    response = admin_api.patch("/teams/risk", {"title": "New"}, if_match=tag)
    assert response.status_code == 200
    assert response["ETag"] == '"v2"'
    assert response.json()["title"] == "New"


@pytest.mark.parametrize("tag", ['"v2"', 'W/"v1"', "v1", "garbage", '""'])
def test_a_change_with_another_etag_changes_nothing(admin_api: Api, risk: Team, tag: str) -> None:
    response = admin_api.patch("/teams/risk", {"title": "New"}, if_match=tag)
    assert refused_with(response, 412, "stale")
    assert response["ETag"] == '"v1"'
    assert Team.objects.get().title == "Risk"


@pytest.mark.parametrize("tag", ['"v1"', 'W/"v1"', "*", '"v0", "v1"'])
def test_whoever_has_it_already_gets_304(admin_api: Api, risk: Team, tag: str) -> None:
    response = admin_api.get("/teams/risk", if_none_match=tag)
    assert response.status_code == 304
    assert response.content == b""
    assert response["ETag"] == '"v1"'
