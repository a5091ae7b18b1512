"""The whole app tier runs on both databases: `make test-app` runs it once more on PostgreSQL."""

from __future__ import annotations

import os

import pytest
from django.db import connection


@pytest.mark.needs("postgresql")
def test_postgresql_is_there_for_the_second_run_of_this_tier() -> None:
    assert os.environ["SLIPWAY_TEST_POSTGRES_URL"]


def test_this_run_uses_the_database_that_it_says() -> None:
    wanted = os.environ.get("SLIPWAY_TEST_DATABASE", "sqlite")
    assert connection.vendor == wanted
