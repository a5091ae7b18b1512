"""The HTTP skin: a plain ASGI application over the data plane. Status codes live only here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from modelserver.dataplane import DataPlane, Inference
from modelserver.errors import (
    Broken,
    Invalid,
    ModelServerError,
    NotAllowed,
    NotFound,
    NotReadable,
    TooLarge,
    TooSlow,
    Unavailable,
    Unknown,
)
from modelserver.logs import Log
from modelserver.telemetry import Telemetry
from wire import tokens

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Mapping[bytes, bytes]

BODY_SECONDS = 30.0
LINGER_SECONDS = 2.0
SMOKE_HEADER = b"x-slipway-smoke"
TELEMETRY_PATH = "/telemetry/v1/report"

_STATUS: tuple[tuple[type[ModelServerError], int], ...] = (
    (Invalid, 400),
    (Unknown, 401),
    (NotFound, 404),
    (NotAllowed, 405),
    (TooSlow, 408),
    (TooLarge, 413),
    (NotReadable, 415),
    (Unavailable, 503),
    (Broken, 500),
)
_JSON = (b"content-type", b"application/json")


class Gone(Exception):
    """The client hung up before its request was complete: there is nobody to answer."""


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    unread: bool = False
    """The rest of the body is still on its way."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names.

    `what` is live, ready, server, telemetry, model, model-ready, infer or nothing.
    """

    what: str
    model: str = ""
    version: str | None = None

    @property
    def method(self) -> str:
        return "POST" if self.what == "infer" else "GET"

    @property
    def counted(self) -> bool:
        """Probes, metadata and telemetry are no requests of users."""
        return self.what in {"infer", "nothing"}


_NOTHING = Target("nothing")
_FIXED = {
    "/v2": Target("server"),
    "/v2/health/live": Target("live"),
    "/v2/health/ready": Target("ready"),
    TELEMETRY_PATH: Target("telemetry"),
}
_OF_A_MODEL = {(): "model", ("ready",): "model-ready", ("infer",): "infer"}


@lru_cache(maxsize=256)
def resolve(path: str) -> Target:
    target = _FIXED.get(path)
    if target is not None:
        return target
    parts = path.split("/")
    if len(parts) < 4 or parts[:3] != ["", "v2", "models"] or not parts[3]:
        return _NOTHING
    rest = parts[4:]
    version = None
    if len(rest) >= 2 and rest[0] == "versions":
        version, rest = rest[1], rest[2:]
    what = _OF_A_MODEL.get(tuple(rest))
    return Target(what, parts[3], version) if what else _NOTHING


class HttpApp:
    """ASGI, HTTP only. Everything it uses is passed in."""

    def __init__(
        self,
        plane: DataPlane,
        telemetry: Telemetry,
        log: Log,
        *,
        token: str,
        max_body_bytes: int,
        body_seconds: float = BODY_SECONDS,
        linger_seconds: float = LINGER_SECONDS,
    ) -> None:
        self._plane = plane
        self._telemetry = telemetry
        self._log = log
        self._token = token
        self._max_body_bytes = max_body_bytes
        self._body_seconds = body_seconds
        self._linger_seconds = linger_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is served, not {scope['type']}")
        target = resolve(scope["path"])
        if target.counted:
            await self._count(target, scope, receive, send)
        else:
            answer, _ = await self._respond(target, scope, dict(scope["headers"]), receive)
            await self._send(send, answer)

    async def _count(self, target: Target, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers: Headers = dict(scope["headers"])
        telemetry = self._telemetry
        telemetry.in_flight += 1
        try:
            answer, code = await self._respond(target, scope, headers, receive)
            await self._send(send, answer)
        except Gone:
            return
        finally:
            telemetry.in_flight -= 1
        if SMOKE_HEADER in headers:
            telemetry.smoked()
        else:
            telemetry.answered(
                f"{answer.status // 100}xx", time.perf_counter() - started, code=code
            )
        if answer.unread:
            if b"expect" not in headers:  # who asked first sends nothing more
                await self._linger(receive)
            await send({"type": "http.response.body", "body": b""})

    async def _respond(
        self, target: Target, scope: Scope, headers: Headers, receive: Receive
    ) -> tuple[Answer, str | None]:
        """The answer and, for a refusal, its code. Raises only Gone."""
        try:
            if target is _NOTHING:
                raise NotFound("path:unknown", "There is nothing at this path.")
            if scope["method"] != target.method:
                message = f"Only {target.method} is possible here."
                raise NotAllowed("method:not-allowed", message, allowed=target.method)
            if target.what == "infer":
                return await self._infer(target, headers, receive), None
            return self._look(target, headers), None
        except Gone:
            raise
        except Exception as problem:  # noqa: BLE001  # a bug must not leave the client unanswered
            return self._refusal(problem, target)

    async def _infer(self, target: Target, headers: Headers, receive: Receive) -> Answer:
        self._plane.admit(target.model, target.version)
        _require_json(headers)
        body = await self._body(headers, receive)
        asked = self._plane.infer(target.model, target.version, body)
        inference = asked if isinstance(asked, Inference) else await asked
        answer = Answer(200, inference.answer.header)
        if SMOKE_HEADER not in headers:
            self._telemetry.inferred(inference)
        return answer

    def _look(self, target: Target, headers: Headers) -> Answer:
        """Everything that only reads."""
        plane = self._plane
        reason = plane.not_ready_because()
        match target.what:
            case "live":
                return _json(200, {"live": plane.live()})
            case "ready":
                said: dict[str, object] = {"live": plane.live(), "ready": not reason}
                return _ready(said, reason)
            case "server":
                return _json(200, plane.server_metadata())
            case "telemetry":
                self._require_token(headers)
                return _json(200, self._telemetry.report(ready=not reason).to_json())
            case "model":
                return _json(200, plane.model_metadata(target.model, target.version))
            case _:
                plane.require_model(target.model, target.version)
                return _ready({"name": target.model, "ready": not reason}, reason)

    def _require_token(self, headers: Headers) -> None:
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if not tokens.same(given.strip(), self._token) or scheme.lower() != b"bearer":
            raise Unknown(
                "telemetry:unauthorized", "The telemetry needs this replica's bearer token."
            )

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        """The whole body, never more than the limit of it in memory."""
        announced = headers.get(b"content-length")
        if announced is not None and int(announced) > self._max_body_bytes:
            raise self._too_large()
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            return self._limited(message.get("body", b""))
        try:
            async with asyncio.timeout(self._body_seconds):
                return await self._streamed(message, receive)
        except TimeoutError as problem:
            raise TooSlow("request:too-slow", "The body did not arrive in time.") from problem

    async def _streamed(self, message: MutableMapping[str, Any], receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            if message["type"] != "http.request":
                raise Gone
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._max_body_bytes:
                raise self._too_large()
            if not message.get("more_body"):
                return b"".join(chunks)
            message = await receive()

    async def _linger(self, receive: Receive) -> None:
        """Throw away what still arrives until the client has left, for a moment. A connection that
        is closed over unread bytes is reset, and the gateway then reports that instead of what we
        answered."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._linger_seconds):
                message = await receive()
                while message["type"] == "http.request" and message.get("more_body"):
                    message = await receive()

    def _limited(self, body: bytes) -> bytes:
        if len(body) > self._max_body_bytes:
            raise self._too_large()
        return body

    def _too_large(self) -> TooLarge:
        return TooLarge(
            "request:too-large", f"The body is larger than {self._max_body_bytes} bytes."
        )

    def _refusal(self, problem: Exception, target: Target) -> tuple[Answer, str]:
        """An error as HTTP says it. Causes and bugs go to the log, never to the client."""
        if not isinstance(problem, ModelServerError) or isinstance(problem, Broken):
            self._log.problem("inference-failed", problem, what=target.what)
        if not isinstance(problem, ModelServerError):
            problem = Broken("server:broken", "The server failed on this request.")
        status = next((status for kind, status in _STATUS if isinstance(problem, kind)), 500)
        headers: tuple[tuple[bytes, bytes], ...] = ()
        if isinstance(problem, Unavailable):
            headers = ((b"retry-after", str(problem.retry_after).encode()),)
        elif isinstance(problem, NotAllowed):
            headers = ((b"allow", problem.allowed.encode()),)
        elif isinstance(problem, Unknown):
            headers = ((b"www-authenticate", b"Bearer"),)
        elif isinstance(problem, TooLarge | TooSlow):
            headers = ((b"connection", b"close"),)  # the rest of the body is not worth reading
        answer = _json(status, {"error": problem.message}, *headers)
        return answer._replace(unread=isinstance(problem, TooLarge)), problem.code

    async def _send(self, send: Send, answer: Answer) -> None:
        headers = [_JSON, (b"content-length", str(len(answer.body)).encode()), *answer.headers]
        if self._plane.draining and not any(name == b"connection" for name, _ in headers):
            headers.append(
                (b"connection", b"close")
            )  # a kept connection would meet a closed door later
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": answer.unread})


def _require_json(headers: Headers) -> None:
    kind = headers.get(b"content-type", b"application/json")
    if (
        kind != b"application/json"
        and kind.partition(b";")[0].strip().lower() != b"application/json"
    ):
        raise NotReadable("request:content-type", "The body must be sent as application/json.")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise NotReadable("request:content-encoding", "Compressed bodies are not read here.")
    if b"inference-header-content-length" in headers:
        raise NotReadable(
            "request:binary", "Binary tensors are not read here; send `data` as JSON."
        )


def _ready(said: dict[str, object], reason: str) -> Answer:
    if not reason:
        return _json(200, said)
    return _json(503, said | {"error": reason}, (b"retry-after", b"1"))


def _json(status: int, value: Mapping[str, object], *headers: tuple[bytes, bytes]) -> Answer:
    return Answer(status, orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY), headers)
