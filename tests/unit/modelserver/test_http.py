"""The ASGI skin, asked without a network."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserver.dataplane import DataPlane, Identity
from modelserver.http import HttpApp
from modelserver.logs import Log
from modelserver.telemetry import Telemetry
from tests.unit.modelserver.fakes import TABLE, Adder, plane_for, table
from wire.report import Report

INFER = "/v2/models/tumour/infer"
ROWS = [[1.0, 2.0, 3.0]]


@dataclass(frozen=True)
class Said:
    status: int
    headers: Mapping[bytes, bytes]
    body: Any


class Server:
    """The application with everything it uses; `ask` is one request."""

    def __init__(
        self, plane: DataPlane, *, max_body_bytes: int = 4096, body_seconds: float = 5.0
    ) -> None:
        self.plane = plane
        self.log = io.StringIO()
        self.telemetry = Telemetry(replica="rep_1", release="rel_1", boot_id="boot-1")
        self.app = HttpApp(
            plane,
            self.telemetry,
            Log(self.log),
            token="right",
            max_body_bytes=max_body_bytes,
            body_seconds=body_seconds,
            linger_seconds=0.01,
        )

    def ask(self, method: str, path: str, *messages: object, **headers: str) -> Said | None:
        return asyncio.run(self.asked(method, path, messages, headers))

    def infer(self, request: object, **headers: str) -> Said:
        said = self.ask("POST", INFER, _chunk(orjson.dumps(request)), **headers)
        assert said is not None
        return said

    async def asked(
        self, method: str, path: str, messages: Iterable[object], headers: Mapping[str, str]
    ) -> Said | None:
        sent: list[Any] = []
        waiting = iter(messages)

        async def receive() -> Any:
            message = next(waiting, None)
            if message is None:
                await asyncio.Event().wait()
            return message

        async def send(message: Any) -> None:
            sent.append(message)

        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        await self.app(
            {"type": "http", "method": method, "path": path, "headers": raw}, receive, send
        )
        if not sent:
            return None
        start, body, *_ = sent
        return Said(start["status"], dict(start["headers"]), orjson.loads(body["body"]))

    def report(self) -> Report:
        return self.telemetry.report(ready=True)


def _chunk(body: bytes, more: bool = False) -> dict[str, object]:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.fixture
def server() -> Server:
    return Server(plane_for(Adder()))


def test_a_prediction_is_json_of_known_length(server: Server) -> None:
    said = server.infer(table(ROWS))
    assert (said.status, said.headers[b"content-type"]) == (200, b"application/json")
    assert said.body["outputs"] == [
        {"name": "sum", "shape": [1], "datatype": "FP32", "data": [6.0]}
    ]


def test_a_body_may_come_in_pieces(server: Server) -> None:
    body = orjson.dumps(table(ROWS))
    said = server.ask("POST", INFER, _chunk(body[:9], True), _chunk(body[9:], True), _chunk(b""))
    assert said is not None
    assert said.status == 200


@pytest.mark.parametrize("headers", [{}, {"content_length": "100000"}])
def test_a_body_over_the_limit_is_not_read_on(server: Server, headers: dict[str, str]) -> None:
    pieces = (_chunk(b" " * 1000, True) for _ in range(10**9))
    said = server.ask("POST", INFER, *[next(pieces) for _ in range(5)], **headers)
    assert said is not None
    assert (said.status, said.headers[b"connection"]) == (413, b"close")


def test_a_body_that_never_ends_is_given_up() -> None:
    said = Server(plane_for(Adder()), body_seconds=0.01).ask("POST", INFER, _chunk(b"{", True))
    assert said is not None
    assert said.status == 408


def test_a_client_that_hangs_up_is_neither_answered_nor_counted(server: Server) -> None:
    assert server.ask("POST", INFER, _chunk(b"{", True), {"type": "http.disconnect"}) is None
    assert server.report().counts.total_requests == 0
    assert server.telemetry.in_flight == 0


def test_a_loading_server_says_when_to_come_back() -> None:
    server = Server(DataPlane(Identity("tumour", "7", TABLE)))
    said = server.infer(table(ROWS))
    assert (said.status, said.headers[b"retry-after"]) == (503, b"1")
    ready = server.ask("GET", "/v2/health/ready")
    assert ready is not None
    assert (ready.status, ready.body["ready"]) == (503, False)
    assert "loading" in ready.body["error"]
    live = server.ask("GET", "/v2/health/live")
    assert live is not None
    assert live.status == 200


def test_a_draining_server_answers_and_closes(server: Server) -> None:
    server.plane.drain()
    said = server.infer(table(ROWS))
    assert (said.status, said.headers[b"connection"]) == (200, b"close")
    ready = server.ask("GET", "/v2/models/tumour/ready")
    assert ready is not None
    assert (ready.status, ready.body["ready"]) == (503, False)


def test_a_failing_model_is_a_500_whose_cause_is_only_in_the_log() -> None:
    model = Adder()
    model.fails = True
    server = Server(plane_for(model))
    said = server.infer(table(ROWS))
    assert (said.status, said.body) == (500, {"error": "The model failed on this input."})
    assert "inner secret" in server.log.getvalue()


def test_a_bug_is_a_500_without_internals(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("inner secret")

    monkeypatch.setattr(server.plane, "infer", broken)
    said = server.infer(table(ROWS))
    assert (said.status, said.body) == (500, {"error": "The server failed on this request."})
    assert server.report().counts.refused == {"server:broken": 1}


def test_every_counted_request_is_in_the_requests_and_in_the_total_latency() -> None:
    model = Adder()
    server = Server(plane_for(model))
    server.infer(table(ROWS))
    server.infer(table([[1.0, 2.0]]))
    server.ask("POST", "/v2/models/other/infer", _chunk(b"{}"))
    server.ask("GET", "/favicon.ico")
    server.ask("GET", INFER)
    model.fails = True
    server.infer(table(ROWS))
    for path in (
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/tumour",
        "/telemetry/v1/report",
    ):
        server.ask("GET", path)
    counts = server.report().counts
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


def test_smoke_inferences_are_counted_apart(server: Server) -> None:
    assert server.infer(table(ROWS), x_slipway_smoke="secret").status == 200
    counts = server.report().counts
    assert (counts.smoke, counts.total_requests, counts.rows, counts.latency.total.count) == (
        1,
        0,
        0,
        0,
    )


@pytest.mark.parametrize(
    "given_", [None, "", "right", "Bearer", "Bearer wrong", "Basic right", "Bearer rightly"]
)
def test_telemetry_without_the_token_is_refused(server: Server, given_: str | None) -> None:
    headers = {} if given_ is None else {"authorization": given_}
    said = server.ask("GET", "/telemetry/v1/report", **headers)
    assert said is not None
    assert said.status == 401


def test_telemetry_shows_a_report_that_the_collector_reads(server: Server) -> None:
    server.infer(table(ROWS))
    reports = []
    for _ in range(2):
        said = server.ask("GET", "/telemetry/v1/report", authorization="bearer right")
        assert said is not None
        reports.append(Report.from_json(said.body))
    assert [report.sequence for report in reports] == [1, 2]
    assert reports[0].counts == reports[1].counts
    assert (reports[0].replica, reports[0].boot_id, reports[0].ready) == ("rep_1", "boot-1", True)


@given(
    st.sampled_from(["GET", "POST", "PUT", "HEAD"]),
    st.text(max_size=20).map(lambda text: "/" + text),
)
def test_any_path_gets_an_answer(method: str, path: str) -> None:
    said = Server(plane_for(Adder())).ask(method, path, _chunk(b""))
    assert said is not None
    assert said.status in {200, 404, 405}


@given(st.binary(max_size=60))
def test_any_body_is_the_callers_fault(body: bytes) -> None:
    said = Server(plane_for(Adder())).ask("POST", INFER, _chunk(body))
    assert said is not None
    assert said.status == 400
    assert set(said.body) == {"error"}


def test_only_http_is_served(server: Server) -> None:
    with pytest.raises(RuntimeError, match="websocket"):
        asyncio.run(server.app({"type": "websocket"}, None, None))  # type: ignore[arg-type]
