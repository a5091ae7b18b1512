"""Who gets past the HTTP port: gateways of its environment, the control plane, and nobody else."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from core import clock
from core.pki import Authority, Issued, expires_at
from tests.contract.modelserver.server import (
    MODELS,
    REPLICA,
    TOKEN,
    Replica,
    eventually,
    infer_request,
    manifest_for,
    rows,
    running,
)
from wire import certificates, identity
from wire.manifest import ReplicaTls

FIRST = MODELS / "tumour-1.onnx"
INFER, REPORT = "/v2/models/tumour/infer", "/telemetry/v1/report"
CERTIFICATE = "/telemetry/v1/certificate"
GATEWAY = identity.gateway("staging", "gtw_1")
OWN = identity.replica("staging", manifest_for(FIRST).release, REPLICA)
BEARER = {"authorization": f"Bearer {TOKEN}"}


@dataclass(frozen=True)
class Secured:
    replica: Replica
    authority: Authority
    own: Issued
    folder: Path

    def issued(self, name: str) -> Issued:
        return self.authority.issue(name, hours=1)

    def context(self, bearer: Issued | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(cadata=self.authority.pem)
        if bearer is not None:
            certificates.load(context, bearer.certificate, bearer.key)
        return context

    @contextlib.contextmanager
    def connected(self, name: str) -> Iterator[http.client.HTTPSConnection]:
        context = self.context(self.issued(name))
        connection = http.client.HTTPSConnection(*self.replica.address, context=context, timeout=20)
        with contextlib.closing(connection):
            yield connection

    def ask(
        self, name: str, method: str, path: str, body: object = None, *, token: bool = True
    ) -> tuple[int, dict[str, object]]:
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        headers = BEARER if token else {}
        if method == "POST":
            headers = headers | {"content-type": "application/json"}
        with self.connected(name) as connection:
            connection.request(method, path, raw, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def answers(self, bearer: Issued | None) -> bool:
        """Whether anything at all is answered to the bearer of this certificate."""
        with socket.create_connection(self.replica.address, timeout=20) as plain:
            try:
                with self.context(bearer).wrap_socket(plain) as connection:
                    connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
                    return connection.recv(1) != b""
            except OSError:
                return False

    def shown(self) -> str:
        """The certificate that a newcomer is shown."""
        with self.connected(GATEWAY) as connection:
            connection.connect()
            return ssl.DER_cert_to_PEM_cert(connection.sock.getpeercert(binary_form=True))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder / "secrets")
    own = authority.issue(OWN, hours=1, names=["127.0.0.1"])
    tls = ReplicaTls(own.certificate, own.key, authority.pem)
    with running(folder, FIRST, wait_ready=False, grpc=True, tls=tls) as replica:
        secured = Secured(replica, authority, own, folder)
        ready = "/v2/health/ready"
        eventually(lambda: secured.ask(identity.CONTROL_PLANE, "GET", ready)[0] == 200)
        yield secured


def test_a_gateway_may_infer_and_look(secured: Secured) -> None:
    status, said = secured.ask(GATEWAY, "POST", INFER, infer_request(rows(1)))
    assert (status, said["model_name"]) == (200, "tumour")
    for path in ("/v2", "/v2/models/tumour", "/v2/health/live", "/v2/health/ready"):
        assert secured.ask(GATEWAY, "GET", path)[0] == 200


def test_a_gateway_sees_no_telemetry_even_with_the_token(secured: Secured) -> None:
    assert secured.ask(GATEWAY, "GET", REPORT)[0] == 403
    assert secured.ask(GATEWAY, "PUT", CERTIFICATE, b"x")[0] == 403


def test_the_control_plane_sees_telemetry_with_the_token_only(secured: Secured) -> None:
    assert secured.ask(identity.CONTROL_PLANE, "GET", REPORT)[0] == 200
    assert secured.ask(identity.CONTROL_PLANE, "GET", REPORT, token=False)[0] == 401
    assert secured.ask(identity.CONTROL_PLANE, "PUT", CERTIFICATE, b"x", token=False)[0] == 401
    status, _ = secured.ask(identity.CONTROL_PLANE, "POST", INFER, infer_request(rows(1)))
    assert status == 200


def test_nobody_else_is_answered(secured: Secured, tmp_path: Path) -> None:
    assert secured.answers(secured.issued(GATEWAY))
    mallory = Authority(tmp_path / "mallory")
    yesterday = clock.now() - timedelta(days=1)
    earlier = Authority(secured.folder / "secrets", now=lambda: yesterday)
    for bearer in (
        None,
        mallory.issue(GATEWAY, hours=1),
        mallory.issue(identity.CONTROL_PLANE, hours=1),
        earlier.issue(GATEWAY, hours=1),
        secured.issued(identity.gateway("production", "gtw_1")),
        secured.issued(identity.replica("staging", "rel_2", "rep_2")),
        secured.own,
    ):
        assert not secured.answers(bearer)


def test_plain_http_gets_nothing(secured: Secured) -> None:
    with socket.create_connection(secured.replica.address, timeout=20) as plain:
        plain.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert not plain.recv(65536).startswith(b"HTTP/")


def test_who_does_not_finish_the_handshake_holds_nobody_up(secured: Secured) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(100):
            silent = stack.enter_context(socket.create_connection(secured.replica.address))
            silent.sendall(b"\x16\x03\x01\x00\xc8"[: number % 6])
        assert secured.ask(GATEWAY, "POST", INFER, infer_request(rows(1)))[0] == 200


def test_a_renewed_certificate_is_shown_to_newcomers_on_both_ports(secured: Secured) -> None:
    renewed = renewal_of(secured)
    with secured.connected(GATEWAY) as open_before:
        open_before.request("GET", "/v2/health/live")
        assert open_before.getresponse().read()
        before = secured.shown()
        status, said = secured.ask(identity.CONTROL_PLANE, "PUT", CERTIFICATE, renewed.encode())
        assert (status, said) == (200, {"expires_at": expires_at(renewed)})
        assert secured.shown() == renewed != before
        open_before.request("GET", "/v2/health/live")
        assert open_before.getresponse().status == 200
    assert shown_over_grpc(secured) == renewed
    assert secured.replica.events()[-1]["event"] == "certificate-renewed"


def renewal_of(secured: Secured) -> str:
    presented = ssl.PEM_cert_to_DER_cert(secured.own.certificate)
    return secured.authority.renew(presented, OWN, hours=2)


def shown_over_grpc(secured: Secured) -> str:
    host, _ = secured.replica.address
    port = secured.replica.announced["grpc_port"]
    context = secured.context(secured.issued(GATEWAY))
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host, port), timeout=20) as plain,
        context.wrap_socket(plain) as connection,
    ):
        assert connection.selected_alpn_protocol() == "h2"
        shown = connection.getpeercert(binary_form=True)
        assert shown is not None
        return ssl.DER_cert_to_PEM_cert(shown)


def test_a_certificate_that_is_not_its_own_is_not_taken(secured: Secured, tmp_path: Path) -> None:
    presented = ssl.PEM_cert_to_DER_cert(secured.own.certificate)
    long_ago = clock.now() - timedelta(days=9)
    earlier = Authority(secured.folder / "secrets", now=lambda: long_ago)
    before = secured.shown()
    for refused in (
        secured.authority.issue(OWN, hours=1).certificate,  # of another key
        secured.authority.renew(presented, GATEWAY, hours=1),  # of another name
        earlier.renew(presented, OWN, hours=1),  # of another time
        Authority(tmp_path).renew(presented, OWN, hours=1),  # of another authority
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "",
    ):
        status, said = secured.ask(identity.CONTROL_PLANE, "PUT", CERTIFICATE, refused.encode())
        assert (status, set(said)) == (400, {"error"})
    status, _ = secured.ask(identity.CONTROL_PLANE, "PUT", CERTIFICATE, b"x" * 100_000)
    assert status == 413
    assert secured.shown() == before


def test_nothing_of_the_key_is_in_its_log_its_command_or_its_environment(secured: Secured) -> None:
    process = Path(f"/proc/{secured.replica.process.pid}")
    told = secured.replica.log.read_bytes()
    told += (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    lines = secured.own.key.encode().splitlines()
    assert not any(line in told for line in lines if not line.startswith(b"---"))
