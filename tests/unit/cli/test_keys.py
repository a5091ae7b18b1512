"""Keys and predictions from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from cli import config
from cli.client import Client
from cli.config import Session
from cli.errors import TimedOut
from tests.fakes.slipway_api import GATEWAY, TOKEN, FakeSlipway, endpoint
from tests.unit.cli.conftest import URL, Slipway


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLIPWAY_ENDPOINT_KEY", raising=False)


@pytest.fixture
def live(api: FakeSlipway) -> None:
    api.endpoints = [endpoint()]


def sent_to_gateway(api: FakeSlipway) -> list[str]:
    return [
        request.headers.get("authorization", "")
        for request in api.requests
        if request.url.host == GATEWAY
    ]


def test_a_new_key_stands_alone_on_standard_output(api: FakeSlipway, slipway: Slipway) -> None:
    ended = slipway("keys", "issue", "ward 7", "--endpoint", "tumour", "--requests-per-day", "50")
    assert ended.code == 0
    assert ended.out == "head.key_1.signature\n"
    assert "key_1 for tumour in staging, until 2027-02-01 00:00 UTC." in ended.err
    assert api.keys["key_1"]["requests_per_day"] == 50
    assert api.keys["key_1"]["requests_per_minute"] is None


def test_issuing_waits_until_every_gateway_knows_the_key(
    api: FakeSlipway, slipway: Slipway
) -> None:
    api.looks_until_known = 3
    assert slipway("keys", "issue", "ward 7", "--endpoint", "tumour").code == 0
    assert [request.url.path for request in api.requests].count("/api/v1/keys/key_1") == 4


def test_a_gateway_that_does_not_say_so_ends_the_waiting(client: Client, api: FakeSlipway) -> None:
    key = client.issue_key("ward 7", "tumour", environment="staging")
    api.looks_until_known = 1000
    with pytest.raises(TimedOut):
        client.wait_for_key(key.id, timeout=-1)


def test_a_saved_key_is_what_predict_sends(
    api: FakeSlipway, slipway: Slipway, live: None, tmp_path: Path
) -> None:
    assert slipway("predict", "tumour").code == 1
    slipway("keys", "issue", "mine", "--endpoint", "tumour", "--save")
    kept = tmp_path / "config" / "slipway.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    ended = slipway("predict", "tumour")
    assert json.loads(ended.out) == {"outputs": [{"name": "X"}]}
    assert sent_to_gateway(api) == ["", "Bearer head.key_1.signature"]


def test_a_key_is_kept_for_its_endpoints_of_this_slipway_only(tmp_path: Path) -> None:
    environ = {"SLIPWAY_CONFIG": str(tmp_path / "slipway.json")}
    here = Session(URL, TOKEN)
    config.save(here, environ)
    config.keep_key(here, "staging", ["tumour", "skin"], "k1", environ)
    config.keep_key(here, "production", ["tumour"], "k2", environ)
    assert config.key_for(here, "staging", "skin", environ) == "k1"
    assert config.key_for(here, "production", "tumour", environ) == "k2"
    assert config.key_for(here, "production", "skin", environ) == ""
    assert config.key_for(Session("http://elsewhere", TOKEN), "staging", "skin", environ) == ""
    config.save(Session(URL, "another token"), environ)
    assert config.key_for(here, "staging", "skin", environ) == "k1", "the same Slipway"
    config.save(Session("http://elsewhere", TOKEN), environ)
    assert config.key_for(here, "staging", "skin", environ) == ""


def test_a_key_of_the_environment_or_of_a_file_comes_first(
    api: FakeSlipway,
    slipway: Slipway,
    live: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slipway("keys", "issue", "mine", "--endpoint", "tumour", "--save")
    monkeypatch.setenv("SLIPWAY_ENDPOINT_KEY", "head.environment.signature")
    slipway("predict", "tumour")
    file = tmp_path / "key"
    file.write_text("head.file.signature\n")
    slipway("predict", "tumour", "--key-file", str(file))
    assert sent_to_gateway(api) == [
        "Bearer head.environment.signature",
        "Bearer head.file.signature",
    ]


def test_the_token_goes_to_no_gateway(api: FakeSlipway, slipway: Slipway, live: None) -> None:
    slipway("predict", "tumour")
    slipway("endpoints", "open", "tumour")
    slipway("predict", "tumour")
    assert sent_to_gateway(api) == ["", ""]


def test_predict_sends_what_it_is_given(
    slipway: Slipway, live: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_ENDPOINT_KEY", "head.k.signature")
    request = tmp_path / "row.json"
    request.write_text('{"inputs": [1]}')
    assert json.loads(slipway("predict", "tumour", "-d", str(request)).out) == {"outputs": [1]}
    request.write_text("[1]")
    assert slipway("predict", "tumour", "-d", str(request)).code == 2
    assert slipway("predict", "tumour", "-d", str(tmp_path / "absent")).code == 2


def test_a_refusal_of_the_gateway_says_what_to_do(slipway: Slipway, live: None) -> None:
    ended = slipway("predict", "tumour")
    assert ended.code == 1
    assert "Jwt is missing" in ended.err
    assert "slipway keys issue" in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("20", "again after 20 s"),
        ("Sun, 22 Nov 2026 00:00:00 GMT", "again after Sun, 22 Nov 2026 00:00:00 GMT"),
    ],
)
def test_a_limit_says_when_to_ask_again(
    api: FakeSlipway, slipway: Slipway, live: None, said: str, shown: str
) -> None:
    refused = httpx.Response(429, json={"error": "too many"}, headers={"retry-after": said})
    api.gateway_answers = [refused]
    assert shown in slipway("predict", "tumour").err


def test_keys_are_listed_with_what_they_have_used(api: FakeSlipway, slipway: Slipway) -> None:
    assert "slipway keys issue" in slipway("keys", "list").out
    slipway("keys", "issue", "ward 7", "--endpoint", "tumour", "--requests-per-day", "50")
    api.keys["key_1"]["usage"][0]["requests_today"] = 12
    table = slipway("keys", "list").out
    assert "key_1" in table
    assert "tumour 12 of 50" in table
    assert "head." not in table
    shown = slipway("keys", "show", "key_1").out
    assert "every gateway knows it" in shown


def test_a_limit_is_taken_away_with_a_nought(api: FakeSlipway, slipway: Slipway) -> None:
    slipway("keys", "issue", "ward 7", "--endpoint", "tumour", "--requests-per-day", "50")
    ended = slipway("keys", "edit", "key_1", "--requests-per-day", "0")
    assert ended.code == 0, ended.err
    assert api.keys["key_1"]["requests_per_day"] is None
    assert api.keys["key_1"]["name"] == "ward 7"
    assert slipway("keys", "edit", "key_1").code == 2


def test_rotating_shows_the_new_key(api: FakeSlipway, slipway: Slipway) -> None:
    slipway("keys", "issue", "ward 7", "--endpoint", "tumour")
    assert slipway("keys", "rotate", "key_1").out == "head.key_2.signature\n"
    assert "replaced by key_2" in slipway("keys", "show", "key_1").out


def test_revoking_says_so(slipway: Slipway) -> None:
    slipway("keys", "issue", "ward 7", "--endpoint", "tumour")
    assert "revoked" in slipway("keys", "revoke", "key_1").out


def test_the_status_of_an_open_endpoint_says_so(slipway: Slipway, live: None) -> None:
    assert "open:" not in slipway("status", "tumour").out
    slipway("endpoints", "open", "tumour")
    assert "open: whoever reaches the gateway may ask it" in slipway("status", "tumour").out


def test_opening_and_closing_say_what_holds_now(slipway: Slipway, live: None) -> None:
    assert "nobody needs a key" in slipway("endpoints", "open", "tumour", "--reason", "demo").out
    assert "clients need a key" in slipway("endpoints", "close", "tumour").out
