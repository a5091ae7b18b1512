"""What all gRPC calls share: who asks, how long a message may take, how a refusal is said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
from google.protobuf.message import DecodeError, Message

from modelserver.errors import (
    Broken,
    Forbidden,
    Invalid,
    ModelServerError,
    NotFound,
    Refused,
    TooLarge,
    TooSlow,
    Unavailable,
)
from modelserver.logs import Log

Context = Any  # grpc.aio's ServicerContext, of which the stubs know half
Admits = Callable[[str | None], bool]
_END: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # its stubs lack this

BODY_SECONDS = 30.0


class NoMethod(NotFound):
    pass


_STATUS: tuple[tuple[type[ModelServerError], grpc.StatusCode], ...] = (
    (Invalid, grpc.StatusCode.INVALID_ARGUMENT),
    (Forbidden, grpc.StatusCode.PERMISSION_DENIED),
    (NoMethod, grpc.StatusCode.UNIMPLEMENTED),
    (NotFound, grpc.StatusCode.NOT_FOUND),
    (TooSlow, grpc.StatusCode.DEADLINE_EXCEEDED),
    (TooLarge, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (Unavailable, grpc.StatusCode.UNAVAILABLE),
)


class Refusal(NamedTuple):
    """What `abort` of a call takes."""

    status: grpc.StatusCode
    message: str
    trailers: tuple[tuple[str, str], ...] = ()


def refusal(problem: Exception, log: Log, *, what: str) -> tuple[Refusal, str]:
    """An error as gRPC says it, and its code. Causes and bugs go to the log, not to the client."""
    if not isinstance(problem, Refused | Unavailable):
        log.problem("inference-failed", problem, what=what)
    if not isinstance(problem, ModelServerError):
        problem = Broken("server:broken", "The server failed on this request.")
    internal = grpc.StatusCode.INTERNAL
    status = next((status for kind, status in _STATUS if isinstance(problem, kind)), internal)
    trailers: tuple[tuple[str, str], ...] = ()
    if isinstance(problem, Unavailable):
        seconds = problem.retry_after
        # The first is HTTP's word for it, the second what gRPC's own clients wait for.
        trailers = (
            ("retry-after", str(seconds)),
            ("grpc-retry-pushback-ms", str(1000 * seconds)),
        )
    return Refusal(status, problem.message, trailers), problem.code


class Intake:
    """`admits` decides over a caller by the name in its certificate; None: it has no single one."""

    def __init__(self, admits: Admits | None, body_seconds: float = BODY_SECONDS) -> None:
        self._admits = admits
        self._body_seconds = body_seconds
        self._waits: set[asyncio.Timeout] = set()
        self.closing = False

    def close(self) -> None:
        """From now on waits for no message, so that whoever sends none does not hold up the end."""
        self.closing = True
        for wait in self._waits:
            wait.reschedule(asyncio.get_running_loop().time())

    def require_peer(self, context: Context) -> None:
        """Raises Forbidden. The handshake has verified the certificate; this is about its name."""
        if self._admits is None:
            return
        uris = context.auth_context().get("peer_uri", ())
        name = uris[0].decode("utf-8", "replace") if len(uris) == 1 else None
        if not self._admits(name):
            raise Forbidden("peer:forbidden", "This certificate opens nothing here.")

    async def message(self, kind: type[Message], context: Context) -> Any:
        """The one message of a call. Raises Invalid, TooSlow or Unavailable."""
        message = await self.next_message(kind, context)
        if message is None:
            # Of a message over the limit, gRPC tells the client, but not us.
            raise Invalid("request:incomplete", "There is no message, or it is too large.")
        return message

    async def next_message(self, kind: type[Message], context: Context) -> Any:
        """The next message of a stream, None at its end."""
        data = await self._data(context)
        if data is _END:
            return None
        try:
            return kind.FromString(data)
        except DecodeError as problem:
            said = f"The body is not a {kind.DESCRIPTOR.name}."
            raise Invalid("request:not-protobuf", said) from problem

    async def _data(self, context: Context) -> Any:
        timeout = asyncio.timeout(0 if self.closing else self._body_seconds)
        self._waits.add(timeout)
        try:
            async with timeout:
                return await context.read()
        except TimeoutError:
            if self.closing:
                raise Unavailable("server:stopping", "The server is shutting down.") from None
            raise TooSlow("request:too-slow", "The message did not arrive in time.") from None
        finally:
            self._waits.discard(timeout)
