from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import pytest

from cli import ApiProblem, Client, TimedOut, Unreachable
from tests.fakes.slipway_api import FakeSlipway, answer, done, problem, rollout


def test_every_post_carries_a_key_of_its_own(api: FakeSlipway, client: Client) -> None:
    client.create_model("tumour", team="oncology")
    client.create_model("heart", team="oncology")
    keys = [request.headers["idempotency-key"] for request in api.requests]
    assert len(set(keys)) == 2


def test_a_post_that_was_not_answered_is_repeated_with_the_same_key(
    api: FakeSlipway, client: Client
) -> None:
    api.answers = [httpx.ReadError("reset"), problem(503, "unavailable", "Later.")]
    client.deploy("tumour", 2, environment="staging")
    posts = [request for request in api.requests if request.method == "POST"]
    assert len(posts) == 3
    assert len({request.headers["idempotency-key"] for request in posts}) == 1


def test_it_waits_as_long_as_it_is_told_to(
    api: FakeSlipway, client: Client, slept: list[float]
) -> None:
    later = problem(429, "rate_limited", "Too many.")
    later.headers["retry-after"] = "3"
    api.answers = [later]
    client.me()
    assert slept == [3.0]


def test_a_refusal_is_not_repeated(api: FakeSlipway, client: Client) -> None:
    api.answers = [problem(409, "rollout:already-active", "One is under way.", request_id="r-1")]
    with pytest.raises(ApiProblem) as told:
        client.deploy("tumour", 2, environment="staging")
    assert told.value.code == "rollout:already-active"
    assert told.value.request_id == "r-1"
    assert len(api.requests) == 1


def test_nobody_there_is_unreachable_and_names_the_address(
    api: FakeSlipway, client: Client
) -> None:
    api.answers = [httpx.ConnectError("refused")] * 4
    with pytest.raises(Unreachable, match=r"http://slipway\.test does not answer \(refused\)"):
        client.me()


@pytest.mark.parametrize("content", [b"<html>", b"[1]"])
def test_another_program_at_that_address_is_not_mistaken_for_slipway(
    api: FakeSlipway, client: Client, content: bytes
) -> None:
    api.answers = [httpx.Response(200, content=content)]
    with pytest.raises(Unreachable):
        client.me()


def test_an_error_page_without_a_problem_still_has_a_code(api: FakeSlipway, client: Client) -> None:
    api.answers = [httpx.Response(500, content=b"<html>")]
    with pytest.raises(ApiProblem, match="HTTP 500") as told:
        client.me()
    assert told.value.code == "http_500"


def test_the_fields_that_are_wrong_are_in_the_sentence() -> None:
    errors = [{"pointer": "/replicas", "detail": "Not more than 8."}]
    body = {"detail": "That cannot be.", "errors": errors}
    assert str(ApiProblem(422, body)) == "That cannot be. (/replicas: Not more than 8.)"


def test_a_field_that_says_the_same_is_not_said_twice() -> None:
    errors = [{"pointer": "/team", "code": "unknown_team", "detail": "There is no team 'risk'."}]
    refused = ApiProblem(422, {"detail": "There is no team 'risk'.", "errors": errors})
    assert str(refused) == "There is no team 'risk'."


def test_a_list_is_followed_to_its_last_page(
    api: FakeSlipway, client: Client, tmp_path: Path
) -> None:
    client.create_model("tumour", team="oncology")
    file = tmp_path / "m.onnx"
    file.write_bytes(b"onnx")
    for _ in range(3):
        client.push("tumour", file)
    assert [version.number for version in client.versions("tumour")] == [1, 2, 3]
    assert [version.number for version in client.versions("tumour", most=2)] == [1, 2]


def test_a_push_sends_the_file_whole_with_both_digests_and_tells_its_progress(
    api: FakeSlipway, client: Client, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 4096 + b"\r\n--not-a-boundary\r\n"
    file = tmp_path / 'odd"name.onnx'
    file.write_bytes(content)
    sent: list[int] = []
    client.create_model("tumour", team="oncology")
    version = client.push(
        "tumour", file, metadata={"run": "7"}, description="Better.", progress=sent.append
    )
    (upload,) = api.uploads
    assert upload["artifact"] == content
    assert upload["metadata"] == b'{"run": "7"}'
    assert upload["description"] == b"Better."
    assert version.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert sum(sent) == len(content)


def test_waiting_ends_as_soon_as_it_is_decided(api: FakeSlipway, client: Client) -> None:
    api.story = [
        rollout("provisioning", "Starting 1 replica."),
        rollout("settling", "Draining.", outcome="promoted"),
        done("promoted"),
    ]
    started = client.deploy("tumour", 2, environment="staging")
    ended = client.wait(started.id)
    assert (ended.phase, ended.succeeded) == ("settling", True)


def test_waiting_gives_up_in_time_and_says_what_it_waited_for(api: FakeSlipway) -> None:
    from tests.fakes.slipway_api import TOKEN

    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    api.story = [rollout("provisioning", "Starting 1 replica.")]
    client = Client("http://x", TOKEN, http=api, sleep=sleep, clock=lambda: now[0])
    with pytest.raises(TimedOut, match=r"after 5 s: Starting 1 replica\."):
        client.wait(client.deploy("tumour", 2, environment="staging").id, timeout=5)


def test_an_endpoint_that_is_not_there_is_a_problem_with_a_next_step(
    api: FakeSlipway, client: Client
) -> None:
    with pytest.raises(ApiProblem) as told:
        client.endpoint("tumour", "production")
    assert told.value.help == "slipway deploy tumour --environment production"


def test_an_answer_with_more_and_less_than_today_is_still_read(
    api: FakeSlipway, client: Client
) -> None:
    api.answers = [answer({"id": "rol_9", "status": {"phase": "done"}, "from_the_future": True})]
    read = client.rollout("rol_9")
    assert (read.phase, read.outcome, read.target_version) == ("done", "", None)
