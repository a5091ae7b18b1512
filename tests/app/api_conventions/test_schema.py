"""The description says what the API does, and the API does what its description says."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from hypothesis import HealthCheck, settings
from schemathesis import checks

from controlplane import openapi
from governance.models import User
from tests.app.api_conventions.routes import routes
from tests.factories import people

# Few here, so that the tier stays quick; SLIPWAY_FUZZ=200 looks longer.
EXAMPLES = int(os.environ.get("SLIPWAY_FUZZ", "5"))
DOCUMENT: dict[str, Any] = json.loads(openapi.document())
METHODS = ("get", "post", "put", "patch", "delete")
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method in METHODS
}


def test_it_is_openapi_3_1_and_served_to_anybody(db: None) -> None:
    response = Client().get("/api/v1/openapi.json")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response.json()["openapi"].startswith("3.1")


def test_every_address_is_described() -> None:
    assert len(OPERATIONS) == len(routes())


def test_operations_are_named_once() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(names)) == len(names)


def test_nothing_in_it_is_a_guess() -> None:
    """Two shapes of one name, or a field that it cannot describe, would only be a warning."""
    GENERATOR_STATS.reset()
    with GENERATOR_STATS.silence():
        openapi.document.__wrapped__()
        assert not GENERATOR_STATS._warn_cache
        assert not GENERATOR_STATS._error_cache


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_refusal_is_described_as_a_problem(name: str) -> None:
    operation = OPERATIONS[name]
    refusals = {
        status: answer["content"]
        for status, answer in operation["responses"].items()
        if status.startswith(("4", "5"))
    }
    assert {"400", "401", "403", "404", "429", "503"} <= refusals.keys()
    for content in refusals.values():
        assert list(content) == ["application/problem+json"]
    assert operation["security"]
    assert operation["summary"]


def test_the_page_that_shows_it_needs_nothing_from_elsewhere(db: None) -> None:
    response = Client().get("/api/v1/docs")
    page = response.content.decode()
    assert response.status_code == 200
    assert "//" not in page.replace("<!doctype html>", "").replace("https://", "//https")
    assert "<style" not in page
    assert "script-src 'self'" in response["Content-Security-Policy"]
    for part in page.split("<script")[1:]:
        assert part.split(">")[0].strip().startswith("src=")


@pytest.fixture
def one_connection(db: None) -> Iterator[None]:
    """Requests in this test's transaction: Django's handler would close the connection after each,
    as its own test client prevents too."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application())


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_sent_the_answer_is_one_that_is_described(
    case: schemathesis.Case, one_connection: None, admin: User
) -> None:
    response = case.call(headers={"Authorization": f"Bearer {people.token(admin)}"})
    case.validate_response(
        response,
        checks=[
            checks.not_a_server_error,
            schemathesis.checks.CHECKS.get_one("status_code_conformance"),
            schemathesis.checks.CHECKS.get_one("content_type_conformance"),
            schemathesis.checks.CHECKS.get_one("response_schema_conformance"),
        ],
    )
