"""Who may ask an endpoint: real keys, a real gateway, and clients that should not be there."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from cli import Key
from tests.integration.faults.gateways import absent_gateway, second_gateway
from tests.integration.stack import ENVIRONMENT, MODEL, MODELS, Stack
from tests.running import eventually

pytestmark = pytest.mark.needs("redis", "envoy")

REFUSED = (401, 403)


@pytest.fixture
def live(stack: Stack) -> Stack:
    stack.at_rest()
    return stack


def issue(stack: Stack, name: str, **limits: int) -> Key:
    """A key that every gateway knows."""
    key = stack.slipway.issue_key(name, MODEL, environment=ENVIRONMENT, **limits)
    stack.slipway.wait_for_key(key.id, timeout=stack.lasting.within)
    return key


def ask(stack: Stack, key: str = "", *, url: str = "", **headers: str) -> httpx.Response:
    row = json.loads((MODELS / "rows.json").read_text())["rows"][0]
    tensor = {"name": "X", "datatype": "FP32", "shape": [1, len(row)], "data": row}
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        sent["authorization"] = f"Bearer {key}"
    body = {"inputs": [tensor]}
    return httpx.post(url or stack.infer_url, json=body, headers=sent, trust_env=False)


def tampered(key: str) -> str:
    """The same claims under a signature of somebody else's."""
    head, _, signature = key.rpartition(".")
    return f"{head}.{signature[::-1]}"


@dataclass
class Asked:
    """Every request of a client that never rests: when it began, and the status it got."""

    answers: list[tuple[float, int]] = field(default_factory=list)

    def statuses(self, *, after: float = 0.0) -> set[int]:
        return {status for began, status in list(self.answers) if began > after}


@contextmanager
def asking(stack: Stack, key: str) -> Iterator[Asked]:
    asked, over = Asked(), threading.Event()

    def go_on() -> None:
        while not over.is_set():
            began = time.monotonic()
            asked.answers.append((began, ask(stack, key).status_code))

    client = threading.Thread(target=go_on)
    client.start()
    try:
        yield asked
    finally:
        over.set()
        client.join(30)


def test_without_a_key_or_with_one_that_is_none_nobody_is_answered(live: Stack) -> None:
    key = issue(live, "whole")
    assert ask(live, key.text).status_code == 200
    assert ask(live, x_api_key=key.text).status_code == 200
    for wrong in ("", "garbage", "a.b.c", tampered(key.text), live.link["token"]):
        answer = ask(live, wrong)
        assert answer.status_code in REFUSED, f"{wrong[:12]!r}: {answer.status_code}"
        assert "error" in answer.json()


def test_a_key_of_another_environment_is_refused(live: Stack) -> None:
    # A rollout that is given up at once leaves an endpoint, and no replica that others would count.
    elsewhere = live.slipway.deploy(MODEL, 1, environment="production")
    foreign = live.slipway.issue_key("foreign", MODEL, environment="production")
    live.slipway.act(elsewhere.id, "abort")
    live.slipway.wait_for_key(foreign.id, timeout=live.lasting.within)
    assert ask(live, foreign.text).status_code in REFUSED
    live.finished(elsewhere)


def test_a_revoked_key_is_refused_once_its_revocation_is_acknowledged(live: Stack) -> None:
    key = issue(live, "leaked")
    with asking(live, key.text) as asked:
        eventually(lambda: len(asked.answers) > 5, within=live.lasting.within)
        assert asked.statuses() == {200}
        live.slipway.revoke_key(key.id)
        known = live.slipway.wait_for_key(key.id, timeout=live.lasting.within)
        acknowledged = time.monotonic()
        eventually(lambda: len(asked.statuses(after=acknowledged)) > 0, within=live.lasting.within)
        time.sleep(0.2)
    assert known.state == "revoked"
    assert asked.statuses(after=acknowledged) <= set(REFUSED)
    assert asked.statuses() <= {200, *REFUSED}, "nothing but an answer or a refusal"


def test_a_revocation_is_over_when_every_gateway_refuses_the_key(
    live: Stack, tmp_path: Path
) -> None:
    with second_gateway(live, tmp_path) as second:
        key = issue(live, "everywhere")
        doors = (live.infer_url, second)
        assert [ask(live, key.text, url=url).status_code for url in doors] == [200, 200]
        live.slipway.revoke_key(key.id)
        live.slipway.wait_for_key(key.id, timeout=live.lasting.within)
        assert {ask(live, key.text, url=url).status_code for url in doors} <= set(REFUSED)


def test_a_gateway_that_does_not_answer_is_not_believed_to_know(live: Stack) -> None:
    key = issue(live, "half known")
    with absent_gateway(live):
        revoked = live.slipway.revoke_key(key.id)
        eventually(lambda: ask(live, key.text).status_code in REFUSED, within=live.lasting.within)
        assert not revoked.acknowledged
        assert not live.slipway.key(key.id).acknowledged
    assert live.slipway.key(key.id).acknowledged, "whoever is removed is asked no more"


def test_every_gateway_has_taken_over_what_was_revoked(live: Stack) -> None:
    """Acknowledged means what it says: each gateway runs the newest routes."""
    key = issue(live, "counted")
    live.slipway.revoke_key(key.id)
    live.slipway.wait_for_key(key.id, timeout=live.lasting.within)
    for gateway in live.slipway.items("/gateways"):
        if gateway["environment"] == ENVIRONMENT:
            [routes] = [each for each in gateway["resources"] if each["type"] == "routes"]
            assert routes["acknowledged"] == routes["served"]


def test_a_rotated_key_ends_where_its_overlap_does(live: Stack) -> None:
    old = issue(live, "old")
    new = live.slipway.rotate_key(old.id)
    live.slipway.wait_for_key(new.id, timeout=live.lasting.within)
    assert [ask(live, each.text).status_code for each in (old, new)] == [200, 200]
    last = live.slipway.rotate_key(new.id, overlap_hours=0)
    live.slipway.wait_for_key(last.id, timeout=live.lasting.within)
    assert ask(live, new.text).status_code in REFUSED
    assert ask(live, last.text).status_code == 200


def test_a_key_that_asks_too_often_waits(live: Stack) -> None:
    key = issue(live, "busy", requests_per_minute=3)
    answers = [ask(live, key.text) for _ in range(6)]
    assert {each.status_code for each in answers} == {200, 429}
    refused = [each for each in answers if each.status_code == 429]
    assert all(int(each.headers["retry-after"]) >= 1 for each in refused)
    assert ask(live, issue(live, "calm").text).status_code == 200, "others are not concerned"


def test_a_key_that_is_used_up_is_refused_until_midnight_or_a_higher_limit(live: Stack) -> None:
    key = issue(live, "short", requests_per_day=4)
    with asking(live, key.text) as asked:
        eventually(lambda: 429 in asked.statuses(), within=live.lasting.within)
    refused = ask(live, key.text)
    assert refused.status_code == 429
    again = parsedate_to_datetime(refused.headers["retry-after"])
    now = datetime.now(UTC)
    assert now.date() < again.date() or (again - now).total_seconds() < 5
    seen = live.slipway.key(key.id)
    assert seen.state == "exhausted"
    assert seen.usage[0]["requests_today"] >= 4
    live.slipway.edit_key(key.id, requests_per_day=1_000_000)
    live.slipway.wait_for_key(key.id, timeout=live.lasting.within)
    assert ask(live, key.text).status_code == 200


def test_what_a_key_has_used_is_counted_to_the_last_request(live: Stack) -> None:
    key = issue(live, "counted exactly")
    for _ in range(7):
        assert ask(live, key.text).status_code == 200
    ask(live, key.text, x_slipway_key="key_01ARZ3NDEKTSV4RRFFQ69G5FAV")

    def used() -> int:
        return int(live.slipway.key(key.id).usage[0]["requests_today"])

    eventually(lambda: used() == 8, within=live.lasting.within, what="8 requests are counted")
    assert live.slipway.key(key.id).last_used_at


def test_an_open_endpoint_answers_everybody_until_it_is_closed(live: Stack) -> None:
    endpoint = live.endpoint()
    assert ask(live).status_code in REFUSED
    live.slipway.open_endpoint(endpoint.id, "For this test.")
    try:
        eventually(lambda: ask(live).status_code == 200, within=live.lasting.within)
        assert live.endpoint().is_open
    finally:
        live.slipway.close_endpoint(endpoint.id)
    eventually(lambda: ask(live).status_code in REFUSED, within=live.lasting.within)
