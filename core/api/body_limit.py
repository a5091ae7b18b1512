"""Refusing a body that is too large before it fills the disk.

Under ASGI, Django spools the whole body to a file before any view, and so before anybody has asked
who sends it. This stands in front of it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from core.api import problems
from core.api.requests import acceptable_id

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Limit:
    """`code` is what the refusal says to programs."""

    size: int
    code: str = "too-large"


LimitFor = Callable[[Scope], Awaitable[Limit]]

_STATUS = 413


class _OverLimit(Exception):
    pass


class BodyLimit:
    """`limit_for` says how many bytes a request may have. What announces more is refused unread;
    what sends more than it announced, or announces nothing, as soon as it is over."""

    def __init__(self, application: Application, limit_for: LimitFor) -> None:
        self._application = application
        self._limit_for = limit_for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        limit = await self._limit_for(scope)
        if _announced(scope) > limit.size:
            await _refuse(scope, send, limit)
            return
        received, answered = 0, False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit.size:
                raise _OverLimit
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self._application(scope, counted, noted)
        except _OverLimit:
            if not answered:
                await _refuse(scope, send, limit)


def _header(scope: Scope, name: bytes) -> str:
    found = (value for key, value in scope["headers"] if key == name)
    return next(found, b"").decode("latin-1")


def _announced(scope: Scope) -> int:
    length = _header(scope, b"content-length")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0


async def _refuse(scope: Scope, send: Send, limit: Limit) -> None:
    request_id = acceptable_id(_header(scope, b"x-request-id"))
    body = problems.document(
        status=_STATUS,
        code=limit.code,
        title="Too large",
        detail=f"A request to this address has at most {limit.size} bytes.",
        instance=str(scope["path"]),
        request_id=request_id,
        extra={"limit_bytes": limit.size},
    )
    headers = [
        (b"content-type", problems.CONTENT_TYPE.encode()),
        (b"x-request-id", request_id.encode()),
        # What is still on its way is not read: the connection cannot be used again.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": _STATUS, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
