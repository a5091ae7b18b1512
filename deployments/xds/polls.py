"""Reading what a gateway asks, and writing the answers: the skin over ASGI."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from deployments.domain.routing import CLUSTER_TYPE, ROUTE_TYPE
from deployments.xds.ports import Snapshot

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

TYPE_OF_PATH = {
    # Envoy's paths for REST are fixed; no configuration puts a prefix before them.
    "/v3/discovery:clusters": CLUSTER_TYPE,
    "/v3/discovery:routes": ROUTE_TYPE,
}
HEALTH_PATH = "/v3/discovery:health"
"""Ours: can polls be answered?"""
CERTIFICATE_PATH = "/v3/gateways/certificate"
PREFIX = "/v3/"
MAX_BODY = 256 * 1024
"""Envoy names all its extensions in each poll: some 40 kB."""


class BadPoll(Exception):
    """The body is no discovery request, or too large."""


class Gone(Exception):
    """The client left before it had asked completely."""


@dataclass(frozen=True, slots=True)
class Poll:
    type_url: str
    node_id: str
    token: str
    version_info: str


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """`csr` is PEM."""

    node_id: str
    token: str
    csr: str


async def read_poll(type_url: str, receive: Receive) -> Poll:
    return parse_poll(type_url, await _read(receive))


async def read_certificate_request(receive: Receive) -> CertificateRequest:
    return parse_certificate_request(await _read(receive))


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            raise BadPoll(f"a request of a gateway has at most {MAX_BODY} bytes")
    return bytes(body)


def parse_poll(type_url: str, body: bytes) -> Poll:
    try:
        request, node_id, token = _who_asks(body)
        poll = Poll(type_url, node_id, token, request.get("version_info", ""))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as problem:
        raise BadPoll("not a discovery request of a gateway") from problem
    _require_plain(poll.version_info)
    return poll


def parse_certificate_request(body: bytes) -> CertificateRequest:
    try:
        request, node_id, token = _who_asks(body)
        found = CertificateRequest(node_id, token, request["csr"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as problem:
        raise BadPoll("not a request of a gateway for a certificate") from problem
    _require_plain(found.csr)
    return found


def _who_asks(body: bytes) -> tuple[Any, str, str]:
    request = json.loads(body)
    node = request["node"]
    node_id, token = node["id"], node["metadata"]["token"]
    _require_plain(node_id, token)
    return request, node_id, token


def _require_plain(*values: object) -> None:
    # Half a character, for one, is a text that has no bytes to compare.
    if not all(isinstance(value, str) and value.isascii() for value in values):
        raise BadPoll("node id, token, version and request are plain texts")


async def send_snapshot(send: Send, type_url: str, snapshot: Snapshot) -> None:
    await send_json(
        send,
        200,
        {
            "version_info": str(snapshot.generation),
            "type_url": type_url,
            "resources": list(snapshot.resources),
        },
    )


async def send_unchanged(send: Send) -> None:
    """Envoy takes a 304 as "ask again" and applies nothing."""
    await _send(send, 304, b"")


async def send_json(
    send: Send, status: int, content: object, *headers: tuple[bytes, bytes]
) -> None:
    await _send(send, status, json.dumps(content, separators=(",", ":")).encode(), *headers)


async def _send(send: Send, status: int, body: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", b"application/json"), *more]
    if status != 304:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
