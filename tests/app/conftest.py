"""The people of the app tier. Alice deploys for the team `risk`, Bob approves, Charlie looks,
Mallory has nothing; the admin administers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.core.cache import cache

from governance.models import Team, User
from tests.factories import people
from tests.factories.api import Api


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("SLIPWAY_TEST_DATABASE") == "postgresql":
        for item in items:
            if item.path.is_relative_to(Path(__file__).parent):
                item.add_marker(pytest.mark.needs("postgresql"))


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


@pytest.fixture
def risk(db: None) -> Team:
    return people.team("risk")


@pytest.fixture
def alice(risk: Team) -> User:
    user = people.person("alice")
    people.bind(user, "ml_engineer", scope_kind="team", scope_id=risk.pk)
    return user


@pytest.fixture
def bob(db: None) -> User:
    user = people.person("bob")
    people.bind(user, "compliance_reviewer")
    return user


@pytest.fixture
def charlie(db: None) -> User:
    user = people.person("charlie")
    people.bind(user, "viewer")
    return user


@pytest.fixture
def mallory(db: None) -> User:
    return people.person("mallory")


@pytest.fixture
def admin(db: None) -> User:
    user = people.person("admin")
    people.bind(user, "org_admin")
    return user


@pytest.fixture
def anonymous(db: None) -> Api:
    return Api()


@pytest.fixture
def admin_api(admin: User) -> Api:
    return Api(token=people.token(admin))
