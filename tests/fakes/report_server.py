"""Replicas that only report: what the collector sees of a model server, many in one thread.

Passes the same contract tests as the real model server (tests/contract/collector).
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import uvloop

from core import clock
from core.pki import Authority
from tests.fakes.counting_replica import CountingReplica
from wire import certificates, identity


@dataclass
class ReportingReplica:
    """One port of the server. A test turns `ready` and `hangs`, and lets it `serve`. It asks who
    connects for a certificate of the authority, as a model server does."""

    name: str
    release: str
    token: str
    authority: Authority
    environment: str = "practice"
    certificate_hours: float = 1.0
    ready: bool = True
    hangs: bool = False
    port: int = 0
    pulls: int = 0
    counting: CountingReplica = field(init=False)
    lock: threading.Lock = field(default_factory=threading.Lock)

    address = "127.0.0.1"

    def __post_init__(self) -> None:
        self.counting = CountingReplica(self.name, self.release, booted_at=clock.timestamp())
        issued = self.authority.issue(self.identity, hours=self.certificate_hours)
        self._key = issued.key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_verify_locations(cadata=self.authority.pem)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.show(issued.certificate)

    def show(self, certificate: str) -> None:
        """In handshakes from now on."""
        certificates.load(self.context, certificate, self._key)
        self.certificate = certificate

    @property
    def identity(self) -> str:
        return identity.replica(self.environment, self.release, self.name)

    @property
    def boot_id(self) -> str:
        return f"boot-{self.counting.boot}"

    def serve(self, requests: int) -> None:
        with self.lock:
            self.counting.serve(requests)

    def answer(self, head: bytes, body: bytes) -> tuple[int, bytes]:
        path = head.split(b" ", 2)[1]
        if path == b"/v2/health/live":
            return 200, b'{"live":true}'
        if path == b"/v2/health/ready":
            return (200, b'{"ready":true}') if self.ready else (503, b'{"error":"still loading"}')
        if f"Authorization: Bearer {self.token}\r\n".encode() not in head:
            return 401, b'{"error":"no valid token"}'
        if path == b"/telemetry/v1/certificate":
            self.show(body.decode())
            return 204, b""
        self.pulls += 1
        with self.lock:
            report = self.counting.report(clock.timestamp())
        return 200, json.dumps(report.to_json()).encode()


class ReportServer:
    """Runs in a thread of its own until closed; `add` may be called from any other."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.Transport] = set()

    def add(self, replica: ReportingReplica) -> ReportingReplica:
        listening = asyncio.run_coroutine_threadsafe(self._listen(replica), self._loop)
        listening.result(10)
        return replica

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self, replica: ReportingReplica) -> None:
        server = await self._loop.create_server(
            lambda: _Answers(replica, self._open), replica.address, 0, ssl=replica.context
        )
        replica.port = server.sockets[0].getsockname()[1]
        self._servers.append(server)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for transport in list(self._open):
            transport.abort()
        while self._open:
            await asyncio.sleep(0.001)
        for server in self._servers:
            await server.wait_closed()


class _Answers(asyncio.Protocol):
    """One connection: requests, answered in order."""

    def __init__(self, replica: ReportingReplica, opened: set[asyncio.Transport]) -> None:
        self._replica = replica
        self._opened = opened
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._opened.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._opened.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received and not self._replica.hangs:
            head, rest = self._received.split(b"\r\n\r\n", 1)
            length = _length(head)
            if len(rest) < length:
                return
            sent, self._received = rest[:length], rest[length:]
            status, body = self._replica.answer(head + b"\r\n", sent)
            lines = f"HTTP/1.1 {status} -\r\ncontent-length: {len(body)}\r\n\r\n"
            self._transport.write(lines.encode() + body)


def _length(head: bytes) -> int:
    """Of the body, as its head says."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


@contextmanager
def report_server() -> Iterator[ReportServer]:
    server = ReportServer()
    try:
        yield server
    finally:
        server.close()
