"""A lean HTTP/1.1 client for many small requests: one kept connection per replica.

One replica that hangs costs its own connection and nothing else. A general client spends several
times as long on each request, and the collector makes hundreds of them a second.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import httptools

from core import pki

# A report has a bounded number of buckets; whatever sends more is no model server.
MAX_BODY_BYTES = 4 * 1024 * 1024


_EXPIRED = 10  # OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED


class NoAnswer(Exception):
    """Nothing usable came back: refused, reset, timed out, not HTTP, or not who was meant. The text
    says which."""

    @property
    def expired(self) -> bool:
        """Whether who listens there has a certificate that was good once."""
        cause = self.__cause__
        return isinstance(cause, ssl.SSLCertVerificationError) and cause.verify_code == _EXPIRED


@dataclass(frozen=True, slots=True)
class Peer:
    """Who has to answer (a name of `wire.identity`), and the context to connect with."""

    identity: str
    context: Callable[[], ssl.SSLContext]


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes


class Connection:
    """Requests to one address, one after the other. Not for concurrent use. Plain without a `peer`;
    with one, nothing is sent to anybody else."""

    def __init__(self, address: str, port: int, peer: Peer | None = None) -> None:
        self.address = address
        self.port = port
        self.certificate = b""
        """What the peer has shown, DER; empty while there is no connection."""
        self._peer = peer
        self._protocol: _Protocol | None = None

    async def get(self, path: str, *, timeout: float, token: str = "") -> Response:
        """The whole answer, within `timeout` seconds in all.

        Raises:
            NoAnswer: there was none. The connection is closed then; the next call opens another.
        """
        return await self._send(self._head("GET", path, token) + b"\r\n", timeout)

    async def put(self, path: str, body: bytes, *, timeout: float, token: str = "") -> Response:
        """Like `get`."""
        length = f"Content-Length: {len(body)}\r\n\r\n".encode()
        return await self._send(self._head("PUT", path, token) + length + body, timeout)

    def _head(self, method: str, path: str, token: str) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.address}:{self.port}"]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        return ("\r\n".join(lines) + "\r\n").encode("ascii")

    async def _send(self, request: bytes, timeout: float) -> Response:
        try:
            async with asyncio.timeout(timeout):
                return await self._ask(request)
        except TimeoutError:
            self.close()
            raise NoAnswer(f"no answer within {timeout:g} s") from None
        except (OSError, httptools.HttpParserError) as problem:
            self.close()
            raise NoAnswer(str(problem) or type(problem).__name__) from problem
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._protocol is not None:
            self._protocol.abort()
            self._protocol = None
        self.certificate = b""

    async def _ask(self, request: bytes) -> Response:
        kept = self._protocol
        if kept is not None and kept.usable:
            try:
                return await kept.ask(request)
            except _ClosedEarly:
                pass  # the server closed an idle connection just then: once more on a new one
        self._protocol = await self._connected()
        return await self._protocol.ask(request)

    async def _connected(self) -> _Protocol:
        """A new connection; with a peer, to that peer only."""
        context = self._peer.context() if self._peer else None
        transport, protocol = await asyncio.get_running_loop().create_connection(
            _Protocol, self.address, self.port, ssl=context
        )
        if self._peer:
            try:
                pki.require_peer(transport.get_extra_info("peercert"), self._peer.identity)
            except pki.WrongPeer:
                transport.abort()
                raise
            shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            self.certificate = shown or b""
        return protocol


class _ClosedEarly(ConnectionError):
    """The connection ended before the first byte of the answer."""


class _Protocol(asyncio.Protocol):
    """One connection; httptools calls the `on_…` methods while it parses."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._size = 0
        self._begun = False

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, request: bytes) -> asyncio.Future[Response]:
        self._answer = asyncio.get_running_loop().create_future()
        self._body, self._size, self._begun = [], 0, False
        if self._transport is None:
            self._answer.set_exception(_ClosedEarly("connection closed"))
        else:
            self._transport.write(request)
        return self._answer

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast and no check: uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as problem:
            self._fail(problem)
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        kind = ConnectionError if self._begun else _ClosedEarly
        self._fail(kind(str(exc) if exc else "connection closed"))

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > MAX_BODY_BYTES:
            self._fail(ConnectionError("the answer is too large"))
            self.abort()
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        response = Response(self._parser.get_status_code(), b"".join(self._body))
        keep = self._parser.should_keep_alive()
        self._parser = httptools.HttpResponseParser(self)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(response)
        if not keep:
            self.abort()

    def _fail(self, problem: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(problem)
