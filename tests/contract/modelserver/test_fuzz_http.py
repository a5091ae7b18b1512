"""2,000 requests that no client means: each is answered or its connection is closed, by a server
that is the same afterwards."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.contract.modelserver import fuzzed_http
from tests.contract.modelserver.server import Replica, eventually, running
from tests.contract.modelserver.test_protocol import report

WARM_UP, COUNT = 400, 2000
MARGIN_BYTES = 24 * 2**20
SECONDS = 30


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Replica]:
    """A replica that nobody else is asking: its memory is looked at."""
    with running(tmp_path) as replica:
        yield replica


def talk(replica: Replica, sent: bytes) -> bytes:
    """Everything that is answered until the server closes; a server that does neither is a hang."""
    with socket.create_connection(replica.address, timeout=SECONDS) as connection:
        with suppress(ConnectionError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(ConnectionError):
            while data := connection.recv(65536):
                answer += data
    return answer


def statuses(answer: bytes) -> Iterator[int]:
    """Of the answers to one client; each must be whole."""
    while answer:
        head, separator, answer = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 "), head[:200]
        assert separator, head[:200]
        status = int(head[9:12])
        yield status
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if status != 100 and answer and not answer.startswith(b"HTTP/1.1 "):  # not to a HEAD
            answer = answer[int(fields[b"content-length"]) :]


def test_no_request_however_odd_breaks_hangs_or_grows_it(alone: Replica) -> None:
    dice = random.Random(random.random())
    process = psutil.Process(alone.process.pid)
    seen: dict[int, int] = {}
    before = files = 0
    for number, sent in enumerate(fuzzed_http.requests(dice, WARM_UP + COUNT)):
        if number == WARM_UP:
            before, files = process.memory_info().rss, process.num_fds()
        for status in statuses(talk(alone, sent)):
            assert status < 500, sent
            seen[status] = seen.get(status, 0) + 1
    assert {200, 400, 404, 405, 415, 431} <= seen.keys(), seen
    with alone.client() as client:
        eventually(lambda: report(client).in_flight == 0)
    eventually(lambda: process.num_fds() <= files + 2)
    eventually(lambda: process.memory_info().rss - before < MARGIN_BYTES)
    assert alone.ready()
    assert [event["event"] for event in alone.events()] == ["listening", "loaded", "ready"]


def test_a_valid_request_among_them_is_answered(client: httpx.Client, replica: Replica) -> None:
    assert list(statuses(talk(replica, fuzzed_http.valid()))) == [200]
