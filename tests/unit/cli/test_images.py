"""`slipway build …` and `slipway gc`."""

from __future__ import annotations

import json
from typing import Any

from tests.fakes.slipway_api import FakeSlipway, answer
from tests.unit.cli.conftest import Slipway

BUILD = {
    "id": "bld_1",
    "image": "img_1",
    "model": "tumour",
    "version": 2,
    "kind": "build",
    "host": "north",
    "environment": "staging",
    "state": "succeeded",
    "sentence": "Built on the host north.",
    "attempts": 1,
    "failure": None,
}


def log(text: str, state: str = "running") -> Any:
    over = state in ("succeeded", "failed")
    return answer({"build": "bld_1", "state": state, "is_over": over, "text": text})


def removal(**fields: Any) -> dict[str, Any]:
    return {
        "host": "north",
        "environment": "staging",
        "image": "img_1",
        "model": "tumour",
        "version": 1,
        "engine_id": "sha256:" + "ab" * 32,
        "size": 300_000_000,
        "removed": True,
        "warning": "",
    } | fields


def cleaned(*removals: dict[str, Any], dry_run: bool = False, **fields: Any) -> Any:
    host = {
        "host": "north",
        "environment": "staging",
        "kept": 5,
        "removals": list(removals),
        "problem": "",
    } | fields
    return answer({"dry_run": dry_run, "items": [host]})


def test_builds_are_listed_with_what_became_of_them(api: FakeSlipway, slipway: Slipway) -> None:
    api.answers = [answer({"items": [BUILD], "next_cursor": None})]
    ended = slipway("build", "list", "-m", "tumour")
    assert ended.code == 0
    assert "bld_1" in ended.out
    assert "Built on the host north." in ended.out
    assert api.requests[-1].url.params["model"] == "tumour"


def test_a_failed_build_ends_with_four_and_names_its_code(
    api: FakeSlipway, slipway: Slipway
) -> None:
    failure = {"code": "build:disk-full", "message": "Its disk is full.", "evidence": {}}
    api.answers = [answer(BUILD | {"state": "failed", "failure": failure})]
    ended = slipway("build", "show", "bld_1")
    assert ended.code == 4
    assert "build:disk-full" in ended.out


def test_a_followed_log_is_printed_once_line_by_line_until_it_is_over(
    api: FakeSlipway, slipway: Slipway, monkeypatch: Any
) -> None:
    monkeypatch.setattr("cli.commands.images.time.sleep", lambda _: None)
    api.answers = [
        log("Step 1/2 : FROM base"),
        log("Step 1/2 : FROM base\nStep 2/2 : COPY"),
        log("Step 1/2 : FROM base\nStep 2/2 : COPY\nBuilt.", "succeeded"),
    ]
    ended = slipway("build", "log", "bld_1", "--follow")
    assert ended.code == 0
    assert ended.out.splitlines() == ["Step 1/2 : FROM base", "Step 2/2 : COPY", "Built."]
    assert "succeeded" in ended.err


def test_following_a_build_that_fails_ends_with_four(api: FakeSlipway, slipway: Slipway) -> None:
    api.answers = [log("no space left on device", "failed")]
    assert slipway("build", "log", "bld_1", "-f").code == 4


def test_a_log_is_one_json_document_when_asked(api: FakeSlipway, slipway: Slipway) -> None:
    api.answers = [log("a\nb", "succeeded")]
    assert json.loads(slipway("build", "log", "bld_1", "-o", "json").out)["text"] == "a\nb"


def test_gc_says_what_it_removed_and_what_it_could_not(api: FakeSlipway, slipway: Slipway) -> None:
    api.answers = [
        cleaned(removal(), removal(version=2, removed=False, warning="it is being used"))
    ]
    ended = slipway("gc", "-e", "staging")
    assert ended.code == 0
    assert "version 1 of tumour (abababababab) removed" in ended.out
    assert "version 2 of tumour (abababababab) could not be removed: it is being used" in ended.out
    assert "5 kept" in ended.out
    assert "300 MB were removed" in ended.out
    assert json.loads(api.requests[-1].content) == {"environment": "staging", "dry_run": False}


def test_a_dry_run_says_what_would_go(api: FakeSlipway, slipway: Slipway) -> None:
    api.answers = [cleaned(removal(removed=False), dry_run=True)]
    ended = slipway("gc", "--dry-run")
    assert "would be removed" in ended.out
    assert json.loads(api.requests[-1].content)["dry_run"] is True


def test_a_host_that_cannot_be_asked_is_named(api: FakeSlipway, slipway: Slipway) -> None:
    api.answers = [cleaned(problem="The Engine does not answer.")]
    ended = slipway("gc")
    assert ended.code == 0
    assert "north in staging could not be asked: The Engine does not answer." in ended.err
