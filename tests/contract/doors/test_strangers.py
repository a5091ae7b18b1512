"""Who gets an answer on a replica's own port: gateways of its environment and the control plane.

A real model server process with its artifact encrypted, as the control plane starts it.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.pki import Authority, Issued
from tests.contract.modelserver.server import (
    REPLICA,
    TOKEN,
    Replica,
    eventually,
    infer_request,
    rows,
    running,
)
from tests.unit.keys import handshakes
from wire import identity
from wire.manifest import ReplicaTls

RELEASE = "rel_01JD0000000000000000000001"
OWN = identity.replica("staging", RELEASE, REPLICA)
SIBLING = identity.replica("staging", RELEASE, "rep_01JD0000000000000000000002")
GATEWAY = identity.gateway("staging", "gtw_1")
INFER = "POST /v2/models/tumour/infer"
READY = "GET /v2/health/ready"
REPORT = "GET /telemetry/v1/report"
RENEW = "PUT /telemetry/v1/certificate"


@dataclass
class Door:
    """One replica's port, and the authorities that people come with."""

    replica: Replica
    folder: Path
    ours: Authority
    mallory: Authority

    def past(self) -> Authority:
        """Ours, as it was three hours ago."""
        return Authority(self.folder / "ours", now=lambda: datetime.now(UTC) - timedelta(hours=3))

    def ask(self, shown: Issued | None, line: str, body: bytes = b"", token: str = TOKEN) -> int:
        """The status of the answer; 0 when there is none at all."""
        context = handshakes.client(self.ours.pem, shown)
        try:
            with (
                socket.create_connection(self._address, timeout=20) as plain,
                context.wrap_socket(plain) as secured,
            ):
                return _status(secured, line, body, token)
        except (ssl.SSLError, ConnectionError):
            return 0

    def ask_plainly(self) -> bytes:
        with socket.create_connection(self._address, timeout=20) as plain:
            plain.sendall(b"GET /v2/health/live HTTP/1.1\r\nhost: a\r\n\r\n")
            try:
                return plain.recv(1000)
            except ConnectionError:
                return b""

    @property
    def _address(self) -> tuple[str, int]:
        return self.replica.announced["address"], self.replica.announced["port"]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("door")
    ours = Authority(folder / "ours")
    issued = ours.issue(OWN, hours=1)
    tls = ReplicaTls(issued.certificate, issued.key, ours.pem)
    with running(folder, wait_ready=False, tls=tls) as replica:
        door = Door(replica, folder, ours, Authority(folder / "mallory"))
        collector = ours.issue(identity.CONTROL_PLANE, hours=1)
        eventually(lambda: door.ask(collector, READY) == 200)
        yield door


STRANGERS: dict[str, Callable[[Door], Issued | None]] = {
    "nobody": lambda door: None,
    "mallory as the control plane": lambda door: door.mallory.issue(
        identity.CONTROL_PLANE, hours=1
    ),
    "mallory as a gateway": lambda door: door.mallory.issue(GATEWAY, hours=1),
    "the control plane of yesterday": lambda door: door.past().issue(
        identity.CONTROL_PLANE, hours=2
    ),
    "a gateway of yesterday": lambda door: door.past().issue(GATEWAY, hours=2),
    "a gateway of another environment": lambda door: door.ours.issue(
        identity.gateway("production", "gtw_1"), hours=1
    ),
    "another replica": lambda door: door.ours.issue(SIBLING, hours=1),
    "the replica itself": lambda door: door.ours.issue(OWN, hours=1),
    "web": lambda door: door.ours.issue(identity.WEB, hours=1),
    "a name that nobody has": lambda door: door.ours.issue("spiffe://slipway/mallory", hours=1),
}


@pytest.mark.parametrize("who", sorted(STRANGERS))
def test_a_stranger_gets_no_answer_to_anything(door: Door, who: str) -> None:
    shown = STRANGERS[who](door)
    sample = json.dumps(infer_request(rows(1))).encode()
    for line, body in ((READY, b""), (INFER, sample), (REPORT, b"")):
        assert door.ask(shown, line, body) == 0, line


def test_a_stranger_without_tls_gets_no_answer(door: Door) -> None:
    assert b"HTTP" not in door.ask_plainly()


def test_a_gateway_of_the_environment_may_ask_for_inferences_and_for_nothing_else(
    door: Door,
) -> None:
    gateway = door.ours.issue(GATEWAY, hours=1)
    sample = json.dumps(infer_request(rows(1))).encode()
    assert door.ask(gateway, INFER, sample) == 200
    assert door.ask(gateway, READY) == 200
    # Not even with the token of the telemetry.
    assert door.ask(gateway, REPORT) == 403
    assert door.ask(gateway, RENEW, door.ours.issue(OWN, hours=1).certificate.encode()) == 403


def test_the_control_plane_needs_the_token_of_the_telemetry_too(door: Door) -> None:
    collector = door.ours.issue(identity.CONTROL_PLANE, hours=1)
    assert door.ask(collector, REPORT) == 200
    assert door.ask(collector, REPORT, token="t" * 43) == 401
    assert door.ask(collector, RENEW, b"", token="t" * 43) == 401


def test_a_replica_takes_no_certificate_that_is_not_for_it(door: Door) -> None:
    collector = door.ours.issue(identity.CONTROL_PLANE, hours=1)
    for wrong in (
        door.ours.issue(OWN, hours=1),  # for another key
        door.mallory.issue(OWN, hours=1),
        door.ours.issue(SIBLING, hours=1),
    ):
        assert door.ask(collector, RENEW, wrong.certificate.encode()) == 400
    assert door.ask(collector, RENEW, b"no certificate") == 400
    assert door.ask(collector, READY) == 200


def test_strangers_cost_the_replica_nothing_that_others_notice(door: Door) -> None:
    """Handshakes that fail leave no connection, no file and no line for each in the log."""
    collector = door.ours.issue(identity.CONTROL_PLANE, hours=1)
    assert door.ask(collector, READY) == 200
    open_files = Path(f"/proc/{door.replica.process.pid}/fd")
    before, said = len(list(open_files.iterdir())), len(door.replica.events())
    for _ in range(30):
        assert door.ask(door.mallory.issue(GATEWAY, hours=1), READY) == 0
    eventually(lambda: len(list(open_files.iterdir())) <= before + 2)
    assert len(door.replica.events()) <= said + 5
    assert door.ask(collector, READY) == 200


def _status(secured: ssl.SSLSocket, line: str, body: bytes, token: str) -> int:
    head = (
        f"{line} HTTP/1.1\r\nhost: replica\r\nauthorization: Bearer {token}\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    secured.sendall(head.encode() + body)
    answer = secured.recv(4096)
    return int(answer.split(b" ", 2)[1]) if answer else 0
