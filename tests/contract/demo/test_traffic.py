"""The demo's client counts every attempt: its word is what "0 failed" rests on."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from demo.programs import Traffic
from tests.fakes.tiny_programs import eventually

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


class Gateway:
    """Answers as it is told to, and counts what reached it."""

    def __init__(self) -> None:
        self.reached = 0
        self.keys: set[str] = set()
        self.answer: Answer = ok("1")
        gateway = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                gateway.reached += 1
                gateway.keys.add(self.headers["authorization"])
                gateway.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v2/models/tumour/infer"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def ok(version: str) -> Answer:
    return lambda request: reply(request, 200, {"outputs": []}, version)


def reply(
    request: http.server.BaseHTTPRequestHandler, status: int, body: Any, version: str = ""
) -> None:
    content = json.dumps(body).encode()
    request.send_response(HTTPStatus(status))
    request.send_header("content-length", str(len(content)))
    request.send_header("x-model-version", version)
    request.end_headers()
    request.wfile.write(content)


def cut(request: http.server.BaseHTTPRequestHandler) -> None:
    request.close_connection = True
    request.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    yield gateway
    gateway.close()


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"rows": [[1.0, 2.0], [3.0, 4.0]]}))
    return path


def traffic_to(url: str, rows: Path) -> Traffic:
    key = rows.parent / "key"
    key.write_text("head.claims.signature\n")
    return Traffic(url, rows, key, rows.parent / "errors.log", rate=100)


def test_what_it_sent_is_what_arrived_and_what_was_answered(gateway: Gateway, rows: Path) -> None:
    traffic = traffic_to(gateway.url, rows)
    eventually(lambda: traffic.now()["ok"] > 20)
    total = traffic.total()
    assert total["sent"] == total["ok"] == gateway.reached
    assert (total["failed"], total["in_flight"]) == (0, 0)
    assert gateway.keys == {"Bearer head.claims.signature"}


def test_it_sends_on_schedule_and_no_faster(gateway: Gateway, rows: Path) -> None:
    traffic = traffic_to(gateway.url, rows)
    eventually(lambda: traffic.now()["ok"] > 0)
    began = traffic.now()
    eventually(lambda: traffic.now()["at"] > began["at"] + 0.9)
    later = traffic.now()
    traffic.end()
    assert (later["sent"] - began["sent"]) / (later["at"] - began["at"]) < 110


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (lambda request: reply(request, 503, {"error": "no"}), "503"),
        (lambda request: reply(request, 200, {"error": "no"}), "no outputs"),
        (cut, "RemoteProtocolError"),
    ],
)
def test_every_kind_of_failure_is_counted_by_its_name(
    gateway: Gateway, rows: Path, answer: Answer, named: str
) -> None:
    gateway.answer = answer
    traffic = traffic_to(gateway.url, rows)
    eventually(lambda: traffic.now()["failed"] > 3)
    total = traffic.total()
    assert total["failures"] == {named: total["sent"]}
    assert gateway.reached == total["sent"]


def test_a_refused_connection_is_an_attempt_that_failed(rows: Path) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        traffic = traffic_to(f"http://127.0.0.1:{unheard.getsockname()[1]}/", rows)
        eventually(lambda: traffic.now()["failed"] > 3)
        total = traffic.total()
    assert total["failures"] == {"ConnectError": total["sent"]}


def test_it_tells_which_version_answered_and_until_when(gateway: Gateway, rows: Path) -> None:
    traffic = traffic_to(gateway.url, rows)
    eventually(lambda: "1" in traffic.now()["versions"])
    gateway.answer = ok("2")
    eventually(lambda: "2" in traffic.now()["versions"])
    versions = traffic.total()["versions"]
    assert versions["1"]["last"] <= versions["2"]["last"]
    assert versions["1"]["answers"] + versions["2"]["answers"] == gateway.reached
