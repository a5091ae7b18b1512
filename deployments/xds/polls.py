"""Reading one REST xDS poll, and writing its answers: the skin over ASGI."""

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
"""Ours: can polls be answered? Lies beside the others so that one prefix leads to all of this app.
"""
PREFIX = "/v3/discovery:"
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


async def read_poll(type_url: str, receive: Receive) -> Poll:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            raise BadPoll(f"a discovery request has at most {MAX_BODY} bytes")
    return parse_poll(type_url, bytes(body))


def parse_poll(type_url: str, body: bytes) -> Poll:
    try:
        request = json.loads(body)
        node = request["node"]
        poll = Poll(
            type_url=type_url,
            node_id=node["id"],
            token=node["metadata"]["token"],
            version_info=request.get("version_info", ""),
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as problem:
        raise BadPoll("not a discovery request of a gateway") from problem
    # Half a character, for one, is a text that has no bytes to compare.
    if not all(map(_is_plain, (poll.node_id, poll.token, poll.version_info))):
        raise BadPoll("node id, token and version are plain texts")
    return poll


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and value.isascii()


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


async def send_json(send: Send, status: int, content: object) -> None:
    await _send(send, status, json.dumps(content, separators=(",", ":")).encode())


async def _send(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json")]
    if status != 304:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
