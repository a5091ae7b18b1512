"""Clients that trickle, flood, hang up or do not read: they cost no more than themselves."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.contract.modelserver.server import Replica, eventually, infer_request, rows, running
from tests.contract.modelserver.test_protocol import report

INFER = "/v2/models/tumour/infer"
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n"
MIB = 2**20
MARGIN = 48 * MIB


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Replica]:
    """A replica whose memory and files nobody else uses."""
    with running(tmp_path) as replica:
        yield replica


def resident(replica: Replica) -> int:
    return int(psutil.Process(replica.process.pid).memory_info().rss)


def connected(replica: Replica) -> socket.socket:
    return socket.create_connection(replica.address, timeout=30)


def is_served(replica: Replica, count: int = 50) -> None:
    """Others get their answers, all of them."""
    with replica.client() as client:
        for _ in range(count):
            answer = client.post(INFER, json=infer_request(rows(1)), timeout=30)
            assert answer.status_code == 200


def test_many_that_trickle_hold_nobody_up(alone: Replica) -> None:
    before = resident(alone)
    head = b"POST /v2/models/tumour/infer HTTP/1.1\r\nHost: a\r\n"
    with contextlib.ExitStack() as stack:
        for number in range(400):
            trickling = stack.enter_context(connected(alone))
            trickling.sendall(head[: 1 + number % len(head)])
            if number % 3 == 0:
                trickling.sendall(head + b"Content-Length: 99999\r\n\r\n{")
        is_served(alone)
        assert resident(alone) - before < MARGIN


def test_one_that_never_reads_is_not_answered_for_ever(alone: Replica) -> None:
    before = resident(alone)
    with connected(alone) as deaf:
        deaf.settimeout(1)
        with contextlib.suppress(TimeoutError):
            while True:  # until its own buffer is full, and the server's as well
                deaf.sendall(LIVE * 1000)
        is_served(alone)
        assert resident(alone) - before < MARGIN


def test_one_that_floods_leaves_turns_for_others(alone: Replica) -> None:
    enough = threading.Event()
    with connected(alone) as flooding:

        def flood() -> None:
            with contextlib.suppress(OSError):
                while not enough.is_set():
                    flooding.sendall(LIVE * 100)

        def drain() -> None:
            with contextlib.suppress(OSError):
                while flooding.recv(MIB):
                    pass

        threads = [threading.Thread(target=each, daemon=True) for each in (flood, drain)]
        for thread in threads:
            thread.start()
        is_served(alone)
        enough.set()
        flooding.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(30)


def test_those_that_hang_up_leave_nothing_behind(alone: Replica) -> None:
    process = psutil.Process(alone.process.pid)
    files = process.num_fds()
    body = json.dumps(infer_request(rows(3))).encode()
    head = f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for number in range(300):
        with connected(alone) as leaving:
            leaving.sendall((head + body)[: 7 * number % len(head + body) + 1])
            if number % 2:  # with a reset instead of an end
                leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    eventually(lambda: process.num_fds() <= files + 1)
    with alone.client() as client:
        assert report(client).in_flight == 0
    is_served(alone, 3)


def test_there_are_only_so_many_connections_and_idle_ones_make_room(alone: Replica) -> None:
    with contextlib.ExitStack() as stack:
        everybody = [stack.enter_context(connected(alone)) for _ in range(1100)]
        is_served(alone, 3)
        everybody[-1].sendall(LIVE)
        assert everybody[-1].recv(65536).startswith(b"HTTP/1.1 200")
        assert everybody[0].recv(65536) == b"", "the one that was idle longest had to go"


@pytest.mark.parametrize("binary", [False, True])
def test_memory_comes_back_after_a_burst(alone: Replica, binary: bool) -> None:
    body, headers = large_request(80_000 if binary else 10_000, binary=binary)
    before = resident(alone)
    highest: list[int] = []

    def ask() -> None:
        with alone.client() as client:
            for _ in range(2):
                answer = client.post(INFER, content=body, headers=headers, timeout=60)
                assert answer.status_code == 200
                highest.append(resident(alone))

    askers = [threading.Thread(target=ask) for _ in range(6)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(highest) == 12
    assert max(highest) - before > MARGIN or not binary, "otherwise this would show nothing"
    eventually(lambda: resident(alone) - before < MARGIN, seconds=30)


def large_request(count: int, *, binary: bool) -> tuple[bytes, dict[str, str]]:
    table = rows(1) * count
    if not binary:
        return json.dumps(infer_request(table)).encode(), {"content-type": "application/json"}
    values = struct.pack("<30f", *table[0]) * count
    tensor = {"name": "X", "shape": [count, 30], "datatype": "FP32"}
    tensor["parameters"] = {"binary_data_size": len(values)}
    header = json.dumps({"inputs": [tensor]}).encode()
    length = {"inference-header-content-length": str(len(header))}
    return header + values, {"content-type": "application/octet-stream"} | length
