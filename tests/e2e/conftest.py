"""The whole stack, traffic through its gateway, and a browser in front of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from tests.e2e.browser import Person, launched
from tests.integration.stack import MODELS, SHORT, Stack
from tests.plugin_tiers import need


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    need("chromium")
    with launched() as opened:
        yield opened


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Version 1, then 2 were promoted; 2 serves."""
    need("redis")
    need("envoy")
    home: Path = tmp_path_factory.mktemp("e2e") / "home"
    with Stack(home, SHORT) as running:
        for version in (1, 2):
            running.finished(running.deploy(version))
        yield running


def serve(stack: Stack, version: int) -> None:
    """Let this version serve, and nothing move: the ground from which a test begins."""
    for unfinished in stack.slipway.rollouts(most=10):
        if not unfinished.is_done:
            stack.finished(unfinished)
    if stack.endpoint().stable_version != version:
        stack.finished(stack.deploy(version))


@pytest.fixture
def traffic(stack: Stack) -> Iterator[None]:
    """Some forty predictions a second, until the test is over."""
    row = json.loads((MODELS / "rows.json").read_text())["rows"][0]
    body = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, len(row)], "data": row}]}
    over = threading.Event()

    def send() -> None:
        with httpx.Client(headers=stack.key_header, trust_env=False) as client:
            while not over.wait(0.02):
                client.post(stack.infer_url, json=body).raise_for_status()

    sender = threading.Thread(target=send)
    sender.start()
    yield
    over.set()
    sender.join(10)


@pytest.fixture(scope="session")
def admin(browser: Browser, stack: Stack) -> Person:
    """Signed in by the link that the start of Slipway printed."""
    person = Person(browser, stack.web_url)
    person.sign_in(stack.link["url"])
    return person
