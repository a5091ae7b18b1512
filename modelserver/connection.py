"""One client's connection: requests in, answers out, in their order, and nothing without a bound.

It reads one request, has it answered, writes the answer, and only then looks at the next: what a
client sends ahead waits in its own buffer, and when that is full in the client's. Time is bounded
by `check`, which the server calls every now and then.
"""

from __future__ import annotations

import asyncio
import time
from enum import IntEnum
from typing import TYPE_CHECKING, cast

from modelserver.bodies import Body
from modelserver.dataplane import Inference
from modelserver.errors import Busy, HeadTooLarge, ModelServerError, TooSlow
from modelserver.heads import BLANK_LINE, MAX_HEAD_BYTES, Head
from modelserver.http import HttpApp, Outcome, Promise
from modelserver.limits import Limits
from modelserver.responses import CLOSE, CONTINUE, KEEP_ALIVE, Answer, inference, plain, usual_head
from wire.identity import Role

if TYPE_CHECKING:
    from modelserver.server import Server

# Requests of one client that are answered before the others get their turn.
TURN = 16
# Smaller bodies are bounded by the number of connections alone.
SMALL_BODY = 64 * 1024
# Larger answers are not copied behind their head.
LARGE_ANSWER = 64 * 1024
_clock = time.perf_counter


class State(IntEnum):
    READY = 0  # nothing has come of the next request
    HEAD = 1  # its head has begun
    BODY = 2  # its head is there
    ANSWERING = 3  # it is there, and its answer is awaited
    WAITING = 4  # for the client to read, or for the turn of others
    DISCARDING = 5  # it is answered, and what is left of its body is thrown away
    LINGERING = 6  # the last answer is written; what comes is thrown away
    CLOSED = 7


class Connection(asyncio.Protocol):
    __slots__ = (
        *("_app", "_begun", "_blocked", "_blocked_size", "_body", "_ended", "_head", "_held"),
        *("_paused", "_pending", "_server", "_since", "_state", "_transport", "_unread"),
    )

    def __init__(self, server: Server, app: HttpApp) -> None:
        self._server = server
        self._app = app
        self._state = State.READY
        self._since = _clock()
        self._unread = b""
        self._body: Body | None = None
        self._held = 0  # bytes of it that the server knows of
        self._pending: Promise | None = None
        self._begun = False  # the application waits for the end of this request
        self._blocked = 0.0  # since when the client does not read
        self._blocked_size = 0
        self._paused = False
        self._ended = False  # the client has said its last

    # --- what the transport calls ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        role = self._server.role_of(self._transport)
        self._head = Head(role or Role.GATEWAY)
        self._server.joined(self)
        if role is None:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._state = State.CLOSED
        self._settle()
        self._unread = b""
        self._head.restart()
        if self._pending is not None:
            self._pending.cancel()  # nobody waits for this answer any more
        self._server.left(self)

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state is State.READY:
            self._read(data)
        elif state is State.HEAD:
            data, self._unread = self._unread + data, b""
            self._read(data)
        elif state is State.BODY:
            self._read_body(data)
        elif state is State.DISCARDING or state is State.LINGERING:
            self._throw_away(data)
        elif state is not State.CLOSED:
            self._unread += data
            self._pause()

    def eof_received(self) -> bool:
        """True while an answer is owed: who has said everything may still listen. Over TLS nobody
        can say so."""
        self._ended = True
        owed = self._state is State.ANSWERING or self._state is State.WAITING
        return owed and self._transport.can_write_eof()

    def pause_writing(self) -> None:
        self._blocked = _clock()
        self._blocked_size = self._transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        self._blocked = 0.0
        self._go_on()

    # --- what the server calls -------------------------------------------------------------------

    @property
    def idle_since(self) -> float | None:
        """None while there is a request."""
        return self._since if self._state is State.READY and not self._blocked else None

    def close(self) -> None:
        """What has been written still goes out, for as long as `Limits.write`."""
        if self._state is not State.CLOSED:
            self._state = State.CLOSED
            self._since = _clock()
            self._transport.close()

    def abort(self) -> None:
        self._state = State.CLOSED
        self._transport.abort()

    def check(self, now: float, limits: Limits) -> None:
        """Ends what takes too long."""
        state, taken = self._state, now - self._since
        if self._blocked and now - self._blocked > limits.write + self._drained() / limits.slowest:
            self.abort()
        elif state is State.READY and taken > limits.idle and not self._blocked:
            self.close()
        elif state is State.HEAD and taken > limits.head:
            self._head.forget(self._since)
            self._refuse(TooSlow("request:too-slow", "The request did not arrive in time."))
        elif self._body is not None and taken > limits.body + self._body.received / limits.slowest:
            self._late()
        elif state is State.LINGERING and taken > limits.linger:
            self.close()
        elif state is State.CLOSED and taken > limits.write:
            self.abort()

    def _late(self) -> None:
        if self._state is State.BODY:
            self._refuse(TooSlow("request:too-slow", "The body did not arrive in time."))
        elif self._state is State.DISCARDING:
            self.close()

    def _drained(self) -> int:
        return max(0, self._blocked_size - self._transport.get_write_buffer_size())

    # --- heads -----------------------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        """Answers what is complete in `data`, one request after the other, for one turn."""
        head, at, size = self._head, 0, len(data)
        for _ in range(TURN):
            if data.startswith(b"\r\n", at):
                at += 2  # an empty line before a request means nothing
            end = data.find(BLANK_LINE, at, at + MAX_HEAD_BYTES)
            if end < 0:
                self._await_head(data[at:])
                return
            end += 4
            try:
                head.read(data[at:end], _clock())
            except ModelServerError as problem:
                self._refuse(problem)
                return
            if head.chunked or head.length > size - end:
                self._begin_body(data[end:])
                return
            at = end + head.length
            body = data[end:at]
            if body:
                head.skip(body)
            outcome = self._app.answer(head, body)
            if isinstance(outcome, asyncio.Future):
                self._begin()
                self._await(outcome, data[at:])
                return
            self._deliver(outcome, more=at < size)
            if self._state is not State.READY:
                return
            if self._blocked:
                break
            if at == size:
                return
        self._wait(data[at:])

    def _await_head(self, data: bytes) -> None:
        if len(data) >= MAX_HEAD_BYTES:
            self._head.forget(_clock())
            self._refuse(HeadTooLarge("request:head-too-large", "The header fields are too long."))
        elif self._ended:
            self.close()
        elif not data:
            self._state = State.READY
        else:
            self._unread = data
            if self._state is not State.HEAD:
                self._state = State.HEAD
                self._since = _clock()

    # --- bodies ----------------------------------------------------------------------------------

    def _begin_body(self, data: bytes) -> None:
        """Of a request of which `data` and more is still to come, or chunks are."""
        head = self._head
        head.restart()
        body = self._body = Body(head.length, chunked=head.chunked, most=self._app.max_body_bytes)
        asked = head.expects and not data
        answer = self._app.early(head)
        if answer is None:
            if asked:
                self._transport.write(CONTINUE)
            self._begin()
            self._state = State.BODY
        else:
            body.wanted = False
            if asked:
                head.keep_alive = False  # whether the body follows all the same, nobody knows
            self._deliver(answer, more=not asked)
            if self._state is State.READY:
                self._state = State.DISCARDING
        self._since = head.started
        if data:
            self.data_received(data)

    def _read_body(self, data: bytes) -> None:
        body = cast(Body, self._body)
        try:
            unread = body.take(data)
            self._hold(body.received)
        except ModelServerError as problem:
            self._refuse(problem)
            return
        if unread is None:
            return
        self._body = None
        outcome = self._app.answer(self._head, body.whole())
        if isinstance(outcome, asyncio.Future):
            self._await(outcome, unread)
        else:
            self._answered(outcome, unread)

    def _hold(self, received: int) -> None:
        if received > SMALL_BODY:
            more, self._held = received - self._held, received
            if not self._server.hold(more):
                raise Busy("server:busy", "Too many large requests are on their way; try again.")

    def _throw_away(self, data: bytes) -> None:
        """The body of a request that is answered already; then comes the next, if any."""
        body = self._body
        try:
            unread = None if body is None else body.take(data)
        except ModelServerError:
            self.close()
            return
        if unread is not None:
            self._body = None
            if self._state is State.LINGERING:
                self.close()
            else:
                self._state = State.READY
                self._since = _clock()
                self._wait(unread)

    # --- answers ---------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._begun = True
        self._app.begin(self._head)

    def _settle(self) -> None:
        """Whatever became of the request, nothing of it is left here."""
        if self._begun:
            self._begun = False
            self._app.end(self._head)
        if self._held:
            self._server.release(self._held)
            self._held = 0
        self._body = None

    def _await(self, outcome: Promise, unread: bytes) -> None:
        self._state = State.ANSWERING
        self._pending = outcome
        self._unread = unread
        if unread:
            self._pause()
        outcome.add_done_callback(self._done)

    def _done(self, future: Promise) -> None:
        self._pending = None
        if self._state is State.ANSWERING:
            unread, self._unread = self._unread, b""
            self._answered(self._app.outcome(self._head, future), unread)
        elif not future.cancelled():
            future.exception()  # looked at, so that nobody warns of it

    def _answered(self, outcome: Outcome, unread: bytes) -> None:
        self._state = State.READY
        self._settle()
        self._deliver(outcome, more=bool(unread))
        if self._state is State.READY:
            self._wait(unread)

    def _refuse(self, problem: ModelServerError) -> None:
        """A request that cannot be read on is answered, and is the last of its connection."""
        body = self._body
        self._settle()
        self._unread = b""
        self._deliver(self._app.refuse(problem), more=True)
        if body is not None and body.left and self._state is State.LINGERING:
            body.wanted = False
            self._body = body  # its end is the end

    def _deliver(self, outcome: Outcome, *, more: bool) -> None:
        """Writes an answer, and ends the connection where it cannot go on; `more` has come or is
        still to come from the client."""
        head, transport = self._head, self._transport
        keep = head.keep_alive and not self._server.draining
        if type(outcome) is Inference:
            encoded = outcome.answer
            length = len(encoded.header)
            if keep and encoded.json_length is None and length < LARGE_ANSWER and not head.legacy:
                transport.write(usual_head(length) + encoded.header)
            else:
                transport.writelines(inference(encoded, connection=self._connection(keep)))
        else:
            answer = cast(Answer, outcome)
            keep = keep and not answer.last
            bodiless = head.method == b"HEAD"
            transport.write(plain(answer, connection=self._connection(keep), bodiless=bodiless))
        self._since = now = _clock()
        self._app.count(head, outcome, now - head.started)
        if keep:
            self._state = State.READY
        elif more:
            self._state = State.LINGERING
        else:
            self.close()

    def _connection(self, keep: bool) -> bytes:
        if not keep:
            return CLOSE
        return KEEP_ALIVE if self._head.legacy else b""

    # --- turns -----------------------------------------------------------------------------------

    def _wait(self, unread: bytes) -> None:
        """For the client to read its answers, or for the others to have their turn."""
        self._state = State.WAITING
        self._unread = unread
        if unread or self._blocked:
            self._pause()
            if not self._blocked:
                asyncio.get_running_loop().call_soon(self._go_on)
        else:
            self._go_on()

    def _go_on(self) -> None:
        if self._state is not State.WAITING or self._blocked:
            return
        unread, self._unread = self._unread, b""
        self._state = State.READY
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
        if unread:
            self._read(unread)
        if self._ended and self._state is State.READY:
            self.close()

    def _pause(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()
