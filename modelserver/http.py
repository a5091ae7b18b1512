"""The HTTP skin over the data plane: paths, checks and status codes, and not a word of sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from modelserver.dataplane import DataPlane, Inference
from modelserver.errors import (
    Broken,
    Forbidden,
    HeadTooLarge,
    Invalid,
    ModelServerError,
    NotAllowed,
    NotFound,
    NotReadable,
    Refused,
    TooLarge,
    TooSlow,
    Unavailable,
    Unknown,
)
from modelserver.heads import Head
from modelserver.logs import Log
from modelserver.paths import NOTHING, Target, resolve
from modelserver.responses import Answer
from modelserver.telemetry import Telemetry
from modelserver.tls import Identity
from wire import tokens
from wire.identity import Role

Outcome = Inference | Answer
Promise = asyncio.Future[Any]  # of an Outcome; a future of one kind of them is none of both

MAX_CERTIFICATE_BYTES = 64 * 1024

_STATUS: tuple[tuple[type[ModelServerError], int], ...] = (
    (Invalid, 400),
    (Unknown, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (NotAllowed, 405),
    (TooSlow, 408),
    (TooLarge, 413),
    (NotReadable, 415),
    (HeadTooLarge, 431),
    (Unavailable, 503),
    (Broken, 500),
)
_SMOKE = b"x-slipway-smoke"
_KEY = b"x-slipway-key"
_JSON_LENGTH = b"inference-header-content-length"
_JSON = b"application/json"
_BINARY = b"application/octet-stream"


class HttpApp:
    """Answers requests whose bytes somebody else reads and writes. From the event loop only."""

    def __init__(
        self,
        plane: DataPlane,
        telemetry: Telemetry,
        log: Log,
        *,
        token: str,
        max_body_bytes: int,
        identity: Identity | None = None,
    ) -> None:
        self._plane = plane
        self._telemetry = telemetry
        self._log = log
        self._token = token
        self._identity = identity
        self.max_body_bytes = max_body_bytes

    def early(self, head: Head) -> Answer | None:
        """The refusal, or the whole answer, that need not wait for the body still on its way. None
        when the body is wanted: at most `body_limit` bytes of it."""
        target = head.target = resolve(head.url)
        try:
            self._check(head, target)
            if head.length > self.body_limit(head):
                raise self._too_large(head)
            if target.method == b"GET":
                return self._look(head, target)
        except Exception as problem:  # noqa: BLE001  # a bug must not leave the client unanswered
            return self._refusal(problem, target.what)
        return None

    def answer(self, head: Head, body: bytes) -> Outcome | Promise:
        """To a request whose body is here, now or later. A future is cancelled when nobody is there
        to be answered any more."""
        target = head.target = resolve(head.url)
        try:
            if len(body) > self.body_limit(head):
                raise self._too_large(head)
            if target.what == "infer" and head.method == b"POST":
                return self._infer(head, target, body)
            self._check(head, target)
            if target.what == "certificate":
                return self._renew(body)
            return self._look(head, target)
        except Exception as problem:  # noqa: BLE001  # as above
            return self._refusal(problem, target.what)

    def outcome(self, head: Head, future: Promise) -> Outcome:
        """What a future of `answer` has come to."""
        try:
            outcome: Outcome = future.result()
            return outcome
        except asyncio.CancelledError:
            problem: Exception = Unavailable("server:busy", "The request was given up; try again.")
        except Exception as other:  # noqa: BLE001  # as above
            problem = other
        return self._refusal(problem, head.target.what)

    def refuse(self, problem: ModelServerError) -> Answer:
        """Of a request that came too slowly, too large or in no understandable form."""
        return self._refusal(problem, "request")._replace(last=True)

    def body_limit(self, head: Head) -> int:
        if head.target.what == "certificate":
            return MAX_CERTIFICATE_BYTES
        return self.max_body_bytes

    def count(self, head: Head, outcome: Outcome, seconds: float) -> None:
        """Once for each request that was answered."""
        if not head.target.counted:
            return
        fields = head.fields
        if _SMOKE in fields:
            self._telemetry.smoked()
            return
        key = fields.get(_KEY)
        if type(outcome) is Inference:
            self._telemetry.served(outcome, seconds, key)
        else:
            outcome_class = f"{outcome.status // 100}xx"  # type: ignore[union-attr]
            self._telemetry.answered(outcome_class, seconds, code=outcome.code, key=key)  # type: ignore[union-attr]

    def begin(self, head: Head) -> None:
        """A request that is not answered at once; `end` follows, whatever becomes of it."""
        if head.target.counted:
            self._telemetry.in_flight += 1

    def end(self, head: Head) -> None:
        if head.target.counted:
            self._telemetry.in_flight -= 1

    def _infer(self, head: Head, target: Target, body: bytes) -> Inference | Promise:
        fields = head.fields
        length = fields.get(_JSON_LENGTH)
        if (
            length is not None
            or fields.get(b"content-type") != _JSON
            or b"content-encoding" in fields
        ):
            self._check(head, target)
        json_length = None if length is None else int(length)
        return self._plane.infer(target.model, target.version, body, json_length)

    def _check(self, head: Head, target: Target) -> None:
        """Everything that can be refused before the body has been read."""
        if target is NOTHING:
            raise NotFound("path:unknown", "There is nothing at this path.")
        if head.method != target.method:
            allowed = target.method.decode()
            raise NotAllowed(
                "method:not-allowed", f"Only {allowed} is possible here.", allowed=allowed
            )
        if target.what == "infer":
            self._plane.admit(target.model, target.version)
            _check_body_form(head.fields)
        elif target.what in {"report", "certificate"}:
            self._require_control_plane(head)

    def _look(self, head: Head, target: Target) -> Answer:
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
            case "report":
                return _json(200, self._telemetry.report(ready=not reason).to_json())
            case "model":
                return _json(200, plane.model_metadata(target.model, target.version))
            case _:
                plane.require_model(target.model, target.version)
                return _ready({"name": target.model, "ready": not reason}, reason)

    def _require_control_plane(self, head: Head) -> None:
        if head.role is not Role.CONTROL_PLANE:
            raise Forbidden("telemetry:forbidden", "This is for the control plane only.")
        scheme, _, given = head.fields.get(b"authorization", b"").partition(b" ")
        if not tokens.same(given.strip(), self._token) or scheme.lower() != b"bearer":
            raise Unknown(
                "telemetry:unauthorized", "The telemetry needs this replica's bearer token."
            )

    def _renew(self, certificate: bytes) -> Promise:
        if self._identity is None:
            raise NotFound("path:unknown", "This server has no certificate to renew.")
        return asyncio.ensure_future(self._renewed(self._identity, certificate))

    async def _renewed(self, identity: Identity, certificate: bytes) -> Answer:
        expires_at = await identity.renew(certificate)
        self._log.event("certificate-renewed", expires_at=expires_at)
        return _json(200, {"expires_at": expires_at})

    def _too_large(self, head: Head) -> TooLarge:
        most = self.body_limit(head)
        return TooLarge("request:too-large", f"The body is larger than {most} bytes.")

    def _refusal(self, problem: Exception, what: str) -> Answer:
        """An error as HTTP says it. Causes and bugs go to the log, never to the client."""
        if not isinstance(problem, Refused | Unavailable):
            self._log.problem("inference-failed", problem, what=what)
        if not isinstance(problem, ModelServerError):
            problem = Broken("server:broken", "The server failed on this request.")
        status = next((status for kind, status in _STATUS if isinstance(problem, kind)), 500)
        fields = b""
        if isinstance(problem, Unavailable):
            fields = b"retry-after: %d\r\n" % problem.retry_after
        elif isinstance(problem, NotAllowed):
            fields = b"allow: %b\r\n" % problem.allowed.encode()
        elif isinstance(problem, Unknown):
            fields = b"www-authenticate: Bearer\r\n"
        last = isinstance(problem, TooLarge | TooSlow)  # the rest is not worth reading
        return _json(status, {"error": problem.message}, fields, code=problem.code, last=last)


def _check_body_form(fields: Mapping[bytes, bytes]) -> None:
    kind = fields.get(b"content-type", _JSON).partition(b";")[0].strip().lower()
    length = fields.get(_JSON_LENGTH)
    if length is None and kind != _JSON:
        raise NotReadable("request:content-type", "The body must be sent as application/json.")
    if length is not None and kind not in {_JSON, _BINARY}:
        raise NotReadable(
            "request:content-type", "The body must be sent as application/octet-stream."
        )
    if length is not None and not (length.isdigit() and len(length) <= 12):
        raise Invalid("request:binary", "Inference-Header-Content-Length is not a length.")
    if fields.get(b"content-encoding", b"identity").lower() != b"identity":
        raise NotReadable("request:content-encoding", "Compressed bodies are not read here.")


def _ready(said: dict[str, object], reason: str) -> Answer:
    if not reason:
        return _json(200, said)
    return _json(503, said | {"error": reason}, b"retry-after: 1\r\n")


def _json(
    status: int,
    value: Mapping[str, object],
    fields: bytes = b"",
    *,
    code: str | None = None,
    last: bool = False,
) -> Answer:
    return Answer(status, orjson.dumps(value), fields, code, last)
