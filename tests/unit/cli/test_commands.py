from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from cli import config
from cli.errors import NotLoggedIn
from tests.fakes.slipway_api import TOKEN, FakeSlipway, done, endpoint, problem, rollout
from tests.unit.cli.conftest import URL, Slipway


@pytest.fixture
def onnx(tmp_path: Path) -> str:
    path = tmp_path / "tumour.onnx"
    path.write_bytes(b"onnx")
    return str(path)


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        (done("promoted"), 0),
        (done("observed"), 0),
        (done("reverted"), 4),
        (rollout("stepping", "1 of 2 approvals.", waiting="approval"), 3),
    ],
)
def test_the_exit_code_says_how_a_deploy_ended(
    api: FakeSlipway, slipway: Slipway, ends: dict[str, object], code: int
) -> None:
    api.story = [rollout("provisioning", "Starting."), rollout("provisioning", "Starting."), ends]
    assert slipway("deploy", "tumour", "--version", "2").code == code


def test_a_deploy_that_takes_too_long_ends_with_five(api: FakeSlipway, slipway: Slipway) -> None:
    api.story = [rollout("provisioning", "Starting.")]
    ended = slipway("deploy", "tumour", "--version", "2", "--timeout", "-1")
    assert ended.code == 5
    assert "Starting." in ended.err


def test_without_wait_it_returns_while_the_rollout_goes_on(
    api: FakeSlipway, slipway: Slipway
) -> None:
    api.story = [rollout("provisioning", "Starting.")]
    assert slipway("deploy", "tumour", "--version", "2", "--no-wait").code == 0


def test_a_wrong_word_is_a_usage_error(slipway: Slipway) -> None:
    assert slipway("dpeloy").code == 2
    assert slipway("deploy").code == 2


def test_a_problem_is_one_sentence_with_its_code_and_a_next_step(
    api: FakeSlipway, slipway: Slipway
) -> None:
    api.answers = [problem(409, "rollout:already-active", "One is under way.", help="slipway x")]
    ended = slipway("deploy", "tumour", "--version", "2")
    assert ended.code == 1
    assert ended.out == ""
    assert ended.err == "error: One is under way. [rollout:already-active]\nhelp:  slipway x\n"


def test_a_failed_rollout_shows_its_reason(api: FakeSlipway, slipway: Slipway) -> None:
    reason = {"code": "model-load-failed", "message": "It did not load."}
    api.story = [done("reverted", "Version 1 still serves.", reason=reason)]
    ended = slipway("deploy", "tumour", "--version", "2")
    assert "model-load-failed: It did not load." in ended.out
    assert "Version 1 still serves." in ended.out


def test_json_is_the_only_thing_on_standard_output(api: FakeSlipway, slipway: Slipway) -> None:
    starting = rollout("provisioning", "Starting.")
    api.story = [starting, starting, done("promoted")]
    ended = slipway("deploy", "tumour", "--version", "2", "-o", "json")
    assert json.loads(ended.out)["status"]["outcome"] == "promoted"
    assert "Starting." in ended.err


def test_nothing_is_coloured_where_there_is_no_terminal(api: FakeSlipway, slipway: Slipway) -> None:
    api.endpoints = [endpoint()]
    ended = slipway("status", "tumour")
    assert ended.code == 0
    assert "\x1b" not in ended.out + ended.err
    assert "v2 100 %" in ended.out


def test_the_latest_version_is_deployed_unless_another_is_named(
    api: FakeSlipway, slipway: Slipway, onnx: str
) -> None:
    slipway("push", onnx, "-m", "tumour", "--team", "oncology")
    slipway("push", onnx, "-m", "tumour", "--team", "oncology")
    slipway("deploy", "tumour")
    slipway("deploy", "tumour", "--version", "v1")
    slipway("deploy", "tumour", "--version", "champion")
    bodies = [
        json.loads(request.content)
        for request in api.requests
        if request.method == "POST" and request.url.path.endswith("/rollouts")
    ]
    assert [body["version"] for body in bodies] == [2, 1, "champion"]


def test_a_push_creates_the_model_only_when_a_team_is_named(
    api: FakeSlipway, slipway: Slipway, onnx: str
) -> None:
    assert slipway("push", onnx, "-m", "tumour").code == 1
    assert api.models == {}
    ended = slipway("push", onnx, "-m", "tumour", "--team", "oncology", "-o", "json")
    assert json.loads(ended.out)["number"] == 1


def test_nan_and_infinity_are_allowed_only_when_asked_for(
    api: FakeSlipway, slipway: Slipway, onnx: str
) -> None:
    slipway("push", onnx, "-m", "tumour", "--team", "oncology")
    assert b"allow_nonfinite" not in api.requests[-1].content
    slipway("push", onnx, "-m", "tumour", "--allow-nonfinite")
    assert b'name="allow_nonfinite"\r\n\r\ntrue\r\n' in api.requests[-1].content


def test_a_push_to_no_model_says_how_to_make_one(
    api: FakeSlipway, slipway: Slipway, onnx: str
) -> None:
    api.answers = [problem(404, "model:not-found", "There is no model 'tumour'.")]
    ended = slipway("push", onnx, "-m", "tumour")
    assert (ended.code, "--team TEAM creates it" in ended.err) == (1, True)


def test_a_team_can_be_made_and_is_listed(api: FakeSlipway, slipway: Slipway) -> None:
    assert "slipway teams create" in slipway("teams", "list").out
    made = slipway("teams", "create", "risk", "--title", "Risk and fraud")
    assert made.code == 0
    assert "--team risk" in made.out
    assert api.teams == [{"id": "team_0", "name": "risk", "title": "Risk and fraud"}]
    assert json.loads(slipway("teams", "list", "-o", "json").out)["items"] == api.teams


def test_a_team_without_a_title_is_called_by_its_name(slipway: Slipway) -> None:
    assert json.loads(slipway("teams", "create", "risk", "-o", "json").out)["title"] == "risk"


def test_metadata_that_is_no_pair_is_a_usage_error(slipway: Slipway, onnx: str) -> None:
    assert slipway("push", onnx, "-m", "tumour", "--metadata", "run").code == 2


def test_rollback_names_a_version_by_its_number(api: FakeSlipway, slipway: Slipway) -> None:
    api.endpoints = [endpoint()]
    assert slipway("rollback", "tumour", "--to", "1", "--reason", "Worse.").code == 0
    (post,) = [request for request in api.requests if request.method == "POST"]
    assert json.loads(post.content) == {"to": 1, "reason": "Worse."}


def test_rolling_back_what_is_under_way_is_a_success(api: FakeSlipway, slipway: Slipway) -> None:
    api.endpoints = [endpoint()]
    reason = {"code": "rolled-back", "message": "The endpoint was rolled back."}
    api.story = [rollout("settling", "Draining.", outcome="reverted", reason=reason)]
    assert slipway("rollback", "tumour").code == 0
    reason["code"] = "smoke-failed"
    assert slipway("rollback", "tumour").code == 4


def test_a_log_gets_one_line_for_a_bake_and_not_one_a_second(
    api: FakeSlipway, slipway: Slipway
) -> None:
    baking = [rollout("stepping", f"Baking version 2: {left} s left.") for left in (3, 2, 1)]
    api.story = [*baking, done("promoted")]
    assert slipway("deploy", "tumour", "--version", "2").err.count("Baking") == 1


def test_the_verbs_of_a_rollout_are_those_of_the_api(api: FakeSlipway, slipway: Slipway) -> None:
    assert slipway("rollouts", "pause", "rol_1").code == 0
    assert slipway("rollouts", "abort", "rol_1", "--reason", "Enough.").code == 0
    posts = [request.url.path for request in api.requests if request.method == "POST"]
    assert posts == ["/api/v1/rollouts/rol_1/pause", "/api/v1/rollouts/rol_1/abort"]


def test_an_empty_list_says_what_to_do_next(slipway: Slipway) -> None:
    assert "slipway push" in slipway("models", "list").out
    assert "slipway deploy" in slipway("status").out


def test_login_keeps_what_works_in_a_private_file(
    slipway: Slipway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TOKEN}\n"))
    assert "alice" in slipway("login", f"{URL}/", "--token-stdin").out
    kept = config.path()
    assert kept.stat().st_mode & 0o077 == 0
    assert config.load({"SLIPWAY_CONFIG": str(kept)}) == config.Session(URL, TOKEN)


def test_login_keeps_nothing_that_does_not_work(
    slipway: Slipway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("slw_wrong\n"))
    assert slipway("login", URL, "--token-stdin").code == 1
    assert not config.path().exists()


def test_login_to_no_address_is_a_usage_error(slipway: Slipway) -> None:
    assert slipway("login", "127.0.0.1:8000", "--token-stdin").code == 2


def test_a_kept_token_is_not_sent_to_another_address(tmp_path: Path) -> None:
    kept = {"SLIPWAY_CONFIG": str(tmp_path / "c.json")}
    config.save(config.Session(URL, TOKEN), kept)
    with pytest.raises(NotLoggedIn):
        config.load({**kept, "SLIPWAY_URL": "http://elsewhere"})


def test_doctor_finds_a_silent_gateway_and_fails(api: FakeSlipway, slipway: Slipway) -> None:
    from tests.fakes.slipway_api import answer

    ready = {"checks": {"database": {"ok": True, "latency_ms": 1.2}}}
    gateway = {"name": "staging", "state": "silent", "last_error": "Not seen for 60 s."}
    api.answers = [
        answer(ready),
        answer({"username": "alice", "roles": []}),
        answer({"items": [gateway]}),
        answer({"items": [{"name": "here", "state": "ok"}]}),
    ]
    ended = slipway("doctor")
    assert ended.code == 1
    assert "✘ gateway staging: silent" in ended.out
    assert "Not seen for 60 s." in ended.out
    assert "✔ database: ok (1.2 ms)" in ended.out


def test_doctor_shows_what_is_not_ready_with_its_hint(api: FakeSlipway, slipway: Slipway) -> None:
    from tests.fakes.slipway_api import answer

    checks = {"redis": {"ok": False, "error": "refused", "hint": "Start Redis."}}
    api.answers = [answer({"checks": checks}, 500)]
    ended = slipway("doctor")
    assert ended.code == 1
    assert "✘ redis: refused\n  Start Redis." in ended.out


def test_a_table_that_a_program_reads_is_not_cut(api: FakeSlipway, slipway: Slipway) -> None:
    identifier, sentence = "rol_01M7XHYDA77W1078PBX1T7XZ9A", "Waiting for a person. " * 8
    api.story = [{**rollout("stepping", sentence.strip()), "id": identifier}]
    _, line = slipway("rollouts", "list").out.splitlines()
    assert line.startswith(f"{identifier} ")
    assert sentence.strip() in line


def test_logs_name_the_replica_that_wrote_them_and_a_host_that_is_silent(
    api: FakeSlipway, slipway: Slipway
) -> None:
    api.endpoints = [endpoint()]
    wrote = {"replica": "rep_1", "host": "local", "text": "loaded\nready", "silent": True}
    api.logs = {"items": [wrote]}
    said = slipway("logs", "tumour").out
    assert "rep_1 on local" in said
    assert "does not answer" in said
    assert said.endswith("loaded\nready\n")


def test_login_without_a_token_is_a_usage_error(
    slipway: Slipway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert slipway("login", URL, "--token-stdin").code == 2
