"""The page that a problem's `type` points to answers, for everybody and without the network."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from controlplane.problem_pages import groups
from tests.factories.api import Api

pytestmark = pytest.mark.django_db


def test_the_type_of_a_problem_is_a_page_that_explains_it(admin_api: Api, client: Client) -> None:
    answer = admin_api.get("/models/nobodys")
    page = client.get(answer.json()["type"])
    assert page.status_code == 200
    assert "<code>model:not-found</code>" in page.content.decode()
    assert "What to do" in page.content.decode()


def test_the_index_leads_to_every_page(client: Client) -> None:
    page = client.get("/docs/problems/").content.decode()
    links = set(re.findall(r'href="(/docs/problems/[^"]+)"', page))
    assert len(links) == sum(len(group.entries) for group in groups())
    assert all(client.get(link).status_code == 200 for link in sorted(links)[::20])


def test_an_unknown_code_has_no_page(client: Client) -> None:
    answer = client.get("/docs/problems/no:such-code")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


def test_the_pages_only_read_and_keep_the_policy(client: Client) -> None:
    page = client.get("/docs/problems/stale")
    assert "unsafe" not in page["Content-Security-Policy"]
    assert not re.search(
        r"<script(?![^>]*src=)|style=|https?://(?!www\.w3\.org)", page.content.decode()
    )
    assert client.post("/docs/problems/stale").status_code == 405
