"""No path leads around the gateway, and what is secret is nowhere but in `secrets`."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.keys import KeyStore
from core.pki import Authority, Issued
from tests.integration.stack import ENVIRONMENT, MODEL, MODELS, Stack
from tests.unit.keys import handshakes
from wire import identity

pytestmark = pytest.mark.needs("redis", "envoy")

H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@dataclass
class Running:
    """The one replica that serves, with its ports as it told its host."""

    stack: Stack
    replica: str
    release: str
    ports: dict[str, int]
    ours: Authority
    mallory: Authority

    def answers(self, shown: Issued | None, port: str) -> bool:
        """Whether whoever shows this gets a single byte on this port."""
        context = handshakes.client(self.ours.pem, shown)
        context.set_alpn_protocols(["h2"] if port == "grpc_port" else ["http/1.1"])
        sent = H2_PREFACE if port == "grpc_port" else b"GET /v2/health/live HTTP/1.1\r\n\r\n"
        try:
            with (
                socket.create_connection(("127.0.0.1", self.ports[port]), timeout=20) as plain,
                context.wrap_socket(plain) as secured,
            ):
                secured.sendall(sent)
                return bool(secured.recv(1))
        except (ssl.SSLError, ConnectionError):
            return False


@pytest.fixture
def running(stack: Stack, tmp_path: Path) -> Running:
    stack.at_rest()
    [serving] = [each for each in stack.endpoint().replicas if each["state"] == "ready"]
    said = json.loads((stack.home / "replicas" / serving["id"] / "announce.json").read_text())
    return Running(
        stack,
        serving["id"],
        serving["release"],
        {name: said[name] for name in ("port", "grpc_port")},
        Authority(stack.home / "secrets"),
        Authority(tmp_path / "mallory"),
    )


def _past(running: Running) -> Authority:
    folder = running.stack.home / "secrets"
    return Authority(folder, now=lambda: datetime.now(UTC) - timedelta(hours=3))


def _gateway(environment: str) -> str:
    return identity.gateway(environment, "gtw_1")


STRANGERS: dict[str, Callable[[Running], Issued | None]] = {
    "nobody": lambda running: None,
    "mallory as the control plane": lambda running: running.mallory.issue(
        identity.CONTROL_PLANE, hours=1
    ),
    "mallory as a gateway": lambda running: running.mallory.issue(_gateway(ENVIRONMENT), hours=1),
    "a gateway of yesterday": lambda running: _past(running).issue(_gateway(ENVIRONMENT), hours=2),
    "another replica": lambda running: running.ours.issue(
        identity.replica(ENVIRONMENT, running.release, "rep_1"), hours=1
    ),
    "web": lambda running: running.ours.issue(identity.WEB, hours=1),
}


def test_the_ports_of_a_replica_answer_the_control_plane_and_its_gateways(
    running: Running,
) -> None:
    for name in (identity.CONTROL_PLANE, _gateway(ENVIRONMENT)):
        for port in running.ports:
            assert running.answers(running.ours.issue(name, hours=1), port), (name, port)


@pytest.mark.parametrize("who", sorted(STRANGERS))
def test_the_ports_of_a_replica_answer_no_stranger(running: Running, who: str) -> None:
    for port in running.ports:
        assert not running.answers(STRANGERS[who](running), port), port


def test_a_gateway_of_another_environment_gets_no_answer(running: Running) -> None:
    """gRPC tells it so in the answer to each call: tests/contract/modelserver/test_grpc_tls.py."""
    shown = running.ours.issue(_gateway("production"), hours=1)
    assert not running.answers(shown, "port")


def test_the_model_lies_nowhere_as_it_is_and_keys_lie_in_their_folder_only(
    running: Running,
) -> None:
    stack = running.stack
    models = [(MODELS / f"{MODEL}-{number}.onnx").read_bytes() for number in (1, 2)]
    pieces = [model[len(model) // 2 :][:64] for model in models]
    token = KeyStore(stack.home / "secrets").telemetry_token(running.release, running.replica)
    looked_at = 0
    for path in sorted(stack.home.rglob("*")):
        if not path.is_file() or path.is_socket():
            continue
        content = path.read_bytes()
        looked_at += 1
        assert not any(piece in content for piece in pieces), path
        assert token.encode() not in content, path
        inside = path.relative_to(stack.home).parts[0]
        if b"PRIVATE KEY" in content:
            # A gateway's own key is kept for a start without web; see tests/contract/gateway.
            assert inside in ("secrets", "gateways"), path
            assert path.stat().st_mode & 0o077 == 0, path
    stored = list((stack.home / "artifacts").rglob("*.slw"))
    assert len(stored) == len(list((stack.home / "artifacts").glob("sha256/*/*")))
    assert looked_at > len(stored) > 1
