"""A body that is too large is refused before anything keeps it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from core.api.body_limit import BodyLimit, Limit

Message = MutableMapping[str, Any]


def at_most(size: int) -> Callable[[Any], Awaitable[Limit]]:
    async def limit_for(scope: Any) -> Limit:
        return Limit(size)

    return limit_for


class Talk:
    """One request with its body in pieces, to an application that reads all of it."""

    def __init__(self, *pieces: bytes, length: int | None = None) -> None:
        self.left = list(pieces)
        self.sent: list[Message] = []
        self.read = b""
        headers = [] if length is None else [(b"content-length", str(length).encode())]
        self.scope = {"type": "http", "path": "/x", "method": "POST", "headers": headers}

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            self.read += message["body"]
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def receive(self) -> Message:
        body = self.left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(self.left)}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def happens(self, limit: int = 10) -> int:
        guarded = BodyLimit(self.application, at_most(limit))
        await guarded(self.scope, self.receive, self.send)
        return int(self.sent[0]["status"])


async def test_a_body_within_the_limit_arrives() -> None:
    talk = Talk(b"12345", b"67890", length=10)
    assert await talk.happens() == 200
    assert talk.read == b"1234567890"


async def test_a_body_that_announces_too_much_is_not_read() -> None:
    talk = Talk(b"1" * 11, length=11)
    assert await talk.happens() == 413
    assert talk.read == b""
    problem = json.loads(talk.sent[1]["body"])
    assert (problem["code"], problem["limit_bytes"]) == ("too-large", 10)
    assert (b"connection", b"close") in talk.sent[0]["headers"]


async def test_a_body_that_announces_nothing_is_cut_when_it_is_over() -> None:
    talk = Talk(b"12345", b"67890", b"!", b"never read")
    assert await talk.happens() == 413
    assert talk.left == [b"never read"]


async def test_a_length_that_is_no_number_does_not_help() -> None:
    talk = Talk(b"1" * 11)
    talk.scope["headers"] = [(b"content-length", b"-5")]
    assert await talk.happens() == 413


async def test_what_is_no_request_passes() -> None:
    seen: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    talk = Talk(b"")
    await BodyLimit(application, at_most(0))({"type": "websocket"}, talk.receive, talk.send)
    assert seen == ["websocket"]
