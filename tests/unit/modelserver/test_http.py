"""What is answered to what, asked without a network."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Executor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserver.dataplane import DataPlane, Identity
from tests.unit.modelserver.fakes import TABLE, Adder, one_thread, plane_for, table, until
from tests.unit.modelserver.talk import INFER, Said, Talk, request
from wire.report import Report

ROWS = [[1.0, 2.0, 3.0]]
REPORT = "/telemetry/v1/report"


class Server:
    """Asked one request at a time, each over a connection of its own."""

    def __init__(self, plane: DataPlane, *, max_body_bytes: int = 4096) -> None:
        self.talk = Talk(plane, max_body_bytes=max_body_bytes)
        self.most = max_body_bytes

    def ask(
        self, method: str, path: str, body: bytes | object = b"", **headers: str | None
    ) -> Said:
        async def asked() -> Said:
            talk = Talk(self.talk.plane, max_body_bytes=self.most)
            talk.telemetry = talk.app._telemetry = self.talk.telemetry
            talk.app._log = self.talk.app._log
            talk.send(request(method, path, body, **headers))
            await until(talk.said)
            return talk.said()[0]

        return asyncio.run(asked())

    def infer(self, asked: object, **headers: str | None) -> Said:
        return self.ask("POST", INFER, asked, **headers)

    @property
    def log(self) -> str:
        return self.talk.log.getvalue()


@pytest.fixture
def server() -> Server:
    return Server(plane_for(Adder()))


def test_a_prediction_is_json_of_known_length(server: Server) -> None:
    said = server.infer(table(ROWS))
    assert (said.status, said.headers["content-type"]) == (200, "application/json")
    assert said.body["outputs"] == [
        {"name": "sum", "shape": [1], "datatype": "FP32", "data": [6.0]}
    ]


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/live?a=b", "/v2/health%2Flive"])
def test_a_path_is_found_however_it_is_written(server: Server, path: str) -> None:
    assert server.ask("GET", path).status == 200
    assert server.ask("GET", f"http://replica:8080{path}").status == 200


@pytest.mark.parametrize(
    ("path", "allowed"), [(INFER, "POST"), ("/v2/health/live", "GET"), (REPORT, "GET")]
)
def test_another_method_is_told_the_right_one(server: Server, path: str, allowed: str) -> None:
    for method in ("DELETE", "OPTIONS", "PATCH"):
        said = server.ask(method, path)
        assert (said.status, said.headers["allow"]) == (405, allowed)


def test_a_loading_server_says_why_it_is_not_ready_and_when_to_come_back() -> None:
    server = Server(DataPlane(Identity("tumour", "7", TABLE)))
    said = server.infer(table(ROWS))
    assert (said.status, said.headers["retry-after"]) == (503, "1")
    ready = server.ask("GET", "/v2/health/ready")
    assert (ready.status, ready.body["ready"]) == (503, False)
    assert "loading" in ready.body["error"]
    server.talk.plane.not_yet("The gRPC port is not open yet.")
    assert "gRPC" in server.ask("GET", "/v2/models/tumour/ready").body["error"]
    assert server.ask("GET", "/v2/health/live").status == 200


def test_a_draining_server_answers_and_is_not_ready(server: Server) -> None:
    server.talk.plane.drain()
    server.talk.plane.not_yet("")
    assert server.infer(table(ROWS)).status == 200
    ready = server.ask("GET", "/v2/models/tumour/ready")
    assert (ready.status, ready.body["ready"]) == (503, False)


def test_a_failing_model_is_a_500_whose_cause_is_only_in_the_log() -> None:
    model = Adder()
    model.fails = True
    server = Server(plane_for(model))
    said = server.infer(table(ROWS))
    assert (said.status, said.body) == (500, {"error": "The model failed on this input."})
    assert "inner secret" in server.log


def test_a_bug_is_a_500_without_internals(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("inner secret")

    monkeypatch.setattr(server.talk.plane, "infer", broken)
    said = server.infer(table(ROWS))
    assert (said.status, said.body) == (500, {"error": "The server failed on this request."})
    assert server.talk.report().counts.refused == {"server:broken": 1}


def test_a_model_that_always_fails_does_not_fill_the_log() -> None:
    model = Adder()
    model.fails = True
    server = Server(plane_for(model))
    for _ in range(50):
        server.infer(table(ROWS))
    assert 1 <= len(server.log.splitlines()) <= 40
    assert server.talk.report().counts.requests["5xx"] == 50


def test_every_counted_request_is_in_the_requests_and_in_the_total_latency() -> None:
    model = Adder()
    server = Server(plane_for(model))
    server.infer(table(ROWS))
    server.infer(table([[1.0, 2.0]]))
    server.ask("POST", "/v2/models/other/infer", b"{}")
    server.ask("GET", "/favicon.ico")
    server.ask("GET", INFER)
    model.fails = True
    server.infer(table(ROWS))
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/tumour", REPORT):
        server.ask("GET", path)
    counts = server.talk.report().counts
    assert counts.requests == {"2xx": 1, "4xx": 4, "5xx": 1}
    assert counts.refused == {
        "input:length": 1,
        "model:unknown": 1,
        "path:unknown": 1,
        "method:not-allowed": 1,
        "model:run-failed": 1,
    }
    assert counts.latency.total.count == counts.total_requests == 6
    assert (counts.rows, counts.latency.inference.count, counts.latency.queue.count) == (1, 1, 1)


@pytest.mark.parametrize("on_the_loop", [True, False])
def test_requests_are_counted_by_the_key_that_the_gateway_let_in(on_the_loop: bool) -> None:
    with one_thread() as pool:
        where: Executor | None = None if on_the_loop else pool
        server = Server(plane_for(Adder(), loop_values=9 if on_the_loop else 0, pool=where))
        for key in ("key_alice", "key_bob", "key_alice", None, "strange key!"):
            server.infer(table(ROWS), x_slipway_key=key)
    server.infer(b"{", x_slipway_key="key_bob")
    assert server.talk.report().counts.keys == {"key_alice": 2, "key_bob": 2, "other": 1}


def test_a_thousand_keys_are_told_apart_and_no_more(server: Server) -> None:
    for number in range(1100):
        server.talk.telemetry.answered("2xx", 0.001, key=f"key_{number}")
    keys = server.talk.report().counts.keys
    assert len(keys) == 1001
    assert keys["other"] == 100


def test_smoke_inferences_are_counted_apart(server: Server) -> None:
    assert server.infer(table(ROWS), x_slipway_smoke="1").status == 200
    counts = server.talk.report().counts
    assert (counts.smoke, counts.total_requests, counts.rows) == (1, 0, 0)
    assert counts.latency.total.count == 0


def test_telemetry_is_for_those_who_have_the_token(server: Server) -> None:
    for given_token in (
        None,
        "",
        "right",
        "Bearer",
        "Bearer wrong",
        "Basic right",
        "Bearer rightly",
    ):
        said = server.ask("GET", REPORT, authorization=given_token)
        assert (said.status, said.headers["www-authenticate"]) == (401, "Bearer")
    assert server.ask("GET", REPORT, authorization="bearer right").status == 200


def test_telemetry_shows_a_report_that_the_collector_reads(server: Server) -> None:
    server.infer(table(ROWS))
    reports = [
        Report.from_json(server.ask("GET", REPORT, authorization="bearer right").body)
        for _ in range(2)
    ]
    assert [report.sequence for report in reports] == [1, 2]
    assert reports[0].counts == reports[1].counts
    assert (reports[0].replica, reports[0].boot_id, reports[0].ready) == ("rep_1", "boot-1", True)


def test_a_server_without_tls_has_no_certificate_to_renew(server: Server) -> None:
    path = "/telemetry/v1/certificate"
    assert server.ask("PUT", path, b"x", authorization="Bearer right").status == 404
    assert server.ask("PUT", path, b"x").status == 401


@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
)
def test_any_path_gets_an_answer(method: str, path: str) -> None:
    assert Server(plane_for(Adder())).ask(method, f"/{path}").status in {200, 400, 404, 405}


@given(body=st.binary(max_size=200))
def test_any_body_is_the_callers_fault(body: bytes) -> None:
    said = Server(plane_for(Adder())).infer(body)
    assert (said.status, set(said.body)) == (400, {"error"})


@given(st.recursive(st.none() | st.integers() | st.text(max_size=3), st.lists, max_leaves=9))
def test_any_tensor_is_answered_and_never_by_a_500(data: object) -> None:
    tensor = {"name": "X", "datatype": "FP32", "shape": [1, 3], "data": data}
    said = Server(plane_for(Adder())).infer(json.dumps({"inputs": [tensor]}).encode())
    assert said.status in {200, 400}
