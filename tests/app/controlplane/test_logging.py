"""Logs: JSON, with the request's id, without secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.test import Client

from governance.domain import tokens
from governance.models import User
from tests.factories.api import Api


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What the real formatter writes."""
    made = settings.LOGGING["formatters"]["json"]
    formatter = made["()"](**{name: value for name, value in made.items() if name != "()"})
    handler = Lines()
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
    yield handler.lines
    logging.getLogger().removeHandler(handler)


def test_a_request_is_logged_with_its_id(lines: list[dict[str, Any]], anonymous: Api) -> None:
    anonymous.get("/me", x_request_id="build-42")
    finished = [line for line in lines if line["event"] == "request_finished"]
    assert [line["request_id"] for line in finished] == ["build-42"]


def test_no_token_password_or_login_link_reaches_the_log(
    lines: list[dict[str, Any]], alice: User
) -> None:
    text = tokens.generate().text
    log = structlog.get_logger("tests")
    log.warning("seen", password="hunter2", nested={"token": text, "list": [f"Bearer {text}"]})
    logging.getLogger("tests").warning("plain %s", text)
    try:
        raise ValueError(f"with {text}")
    except ValueError:
        log.exception("failed")
    Client().get("/accounts/link/very-secret")
    Api(token=text).get("/me")
    written = json.dumps(lines)
    assert len(lines) >= 5
    for secret in (text, "hunter2", "very-secret"):
        assert secret not in written
