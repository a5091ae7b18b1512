"""The people of the app tier. Alice deploys for the team `risk`, Bob approves, Charlie looks,
Mallory has nothing; the admin administers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import connection
from pytest_django import DjangoDbBlocker

from governance.models import Team, User
from tests.factories import people
from tests.factories.api import Api


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("SLIPWAY_TEST_DATABASE") == "postgresql":
        for item in items:
            if item.path.is_relative_to(Path(__file__).parent):
                item.add_marker(pytest.mark.needs("postgresql"))


@pytest.fixture(scope="session", autouse=True)
def _nobody_else_uses_the_database(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """A thread of a socket that was closed a moment ago may still hold a session of the test
    database, and PostgreSQL drops none that is in use."""
    yield
    with django_db_blocker.unblock():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )


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
