"""The HTTP port: who is let in, how many at a time, and the end.

It accepts by itself instead of leaving that to the event loop, because it counts those who have not
yet shown a certificate, and shows each newcomer the certificate of now.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import time
from collections.abc import Callable

from modelserver.connection import Connection
from modelserver.http import HttpApp
from modelserver.limits import Limits
from modelserver.tls import Identity
from wire.identity import Role

ACCEPTED_AT_ONCE = 64
# Descriptors for everything that is no connection.
OTHER_FILES = 64
_LOOK_SECONDS = 0.5
_OUT_OF_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_clock = time.perf_counter


class Server:
    """Serves `app` on a listening socket, which it does not close. Without an `identity` the
    connections are plain, and everybody is taken for the control plane."""

    def __init__(
        self,
        app: HttpApp,
        listening: socket.socket,
        *,
        identity: Identity | None = None,
        limits: Limits | None = None,
        now_and_then: Callable[[], None] = lambda: None,
    ) -> None:
        self._app = app
        self._listening = listening
        self._identity = identity
        self._limits = limits or Limits()
        self._most = _connections(self._limits.connections)
        self._now_and_then = now_and_then
        self._connections: set[Connection] = set()
        self._welcoming: set[asyncio.Task[None]] = set()
        self._held = 0
        self._accepting = self._closing = False
        self._emptied = asyncio.Event()
        self._looking: asyncio.TimerHandle | None = None
        self.draining = False
        """Every answer is the last of its connection: one that is kept would meet a closed door."""

    def start(self) -> None:
        """On the event loop that runs."""
        self._loop = asyncio.get_running_loop()
        self._accept_more()
        self._look()

    async def close(self, within: float) -> None:
        """Accepts nobody from now on, and waits until what has begun is answered."""
        self.draining = self._closing = True
        self._stop_accepting()
        self._close_idle()
        try:
            async with asyncio.timeout(within):
                while self._connections or self._welcoming:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()
        if self._looking is not None:
            self._looking.cancel()

    def _close_idle(self) -> None:
        for connection in list(self._connections):
            if connection.idle_since is not None:
                connection.close()

    # --- what connections call -------------------------------------------------------------------

    def role_of(self, transport: asyncio.Transport) -> Role | None:
        """None for those who have a certificate of the authority's, and no business here."""
        if self._identity is None:
            return Role.CONTROL_PLANE
        return self._identity.role(transport.get_extra_info("peercert"))

    def joined(self, connection: Connection) -> None:
        self._connections.add(connection)

    def left(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._emptied.set()

    def hold(self, size: int) -> bool:
        """Counts `size` more bytes of bodies; False when that is more than there may be. They are
        counted all the same, until they are released."""
        self._held += size
        return self._held <= self._limits.held_bytes

    def release(self, size: int) -> None:
        self._held -= size

    # --- newcomers -------------------------------------------------------------------------------

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                newcomer, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as problem:
                if problem.errno not in _OUT_OF_FILES:
                    raise
                self._stop_accepting()
                self._loop.call_later(_LOOK_SECONDS, self._accept_more)
                return
            newcomer.setblocking(False)
            if len(self._connections) + len(self._welcoming) >= self._most and not self._evict():
                newcomer.close()
                continue
            task = self._loop.create_task(self._welcome(newcomer))
            self._welcoming.add(task)
            task.add_done_callback(self._welcomed)

    async def _welcome(self, newcomer: socket.socket) -> None:
        """A plain connection is there at once, one over TLS after its handshake, if that succeeds:
        then `joined` has been called."""
        identity, limits = self._identity, self._limits
        try:
            await self._loop.connect_accepted_socket(
                lambda: Connection(self, self._app),
                newcomer,
                ssl=identity.ssl_context() if identity else None,
                ssl_handshake_timeout=limits.handshake if identity else None,
                ssl_shutdown_timeout=limits.linger if identity else None,
            )
        except (OSError, TimeoutError):  # no handshake: somebody else's business
            newcomer.close()

    def _welcomed(self, task: asyncio.Task[None]) -> None:
        self._welcoming.discard(task)
        self._emptied.set()

    def _evict(self) -> bool:
        """Makes room by closing the connection that has been idle longest."""
        idle = [(since, each) for each in self._connections if (since := each.idle_since)]
        if idle:
            min(idle, key=lambda pair: pair[0])[1].close()
        return bool(idle)

    def _accept_more(self) -> None:
        if not self._accepting and not self._closing:
            self._accepting = True
            self._loop.add_reader(self._listening, self._accept)

    def _stop_accepting(self) -> None:
        if self._accepting:
            self._accepting = False
            self._loop.remove_reader(self._listening)

    # --- time ------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Who takes too long? The period bounds how exact the limits are."""
        now = _clock()
        for connection in list(self._connections):
            connection.check(now, self._limits)
        if self._closing:
            self._close_idle()
        self._now_and_then()
        self._looking = self._loop.call_later(self._period(), self._look)

    def _period(self) -> float:
        limits = self._limits
        shortest = min(limits.head, limits.body, limits.write, limits.idle, limits.linger)
        return min(_LOOK_SECONDS, shortest / 4)


def _connections(wanted: int) -> int:
    """No more than there can be files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, soft - OTHER_FILES))
