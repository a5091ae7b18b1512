"""What goes on beside a build: a sign of life, the log as it comes, the time limit.

A thread does it, because the work itself waits for Engines. It alone writes to the build's row
meanwhile, and only as long as the row still names its holder.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

import structlog
from django.conf import settings
from django.db import DatabaseError, connections
from django.db.models import F, QuerySet

from core import clock, live
from core.redact import redact
from deployments.domain.build_log import BuildLog
from deployments.models import Build

log = structlog.get_logger(__name__)

_TURN_SECONDS = 0.25


class TakenOver(Exception):
    """Another worker has taken the build: this one was thought dead."""


class OutOfTime(Exception):
    """The build has taken as long as it may."""


class Keeper:
    """Around the work on one build, in the worker that has claimed it."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._log = BuildLog(build.log)
        self._lock = threading.Lock()
        self._news = False
        self._over = threading.Event()
        self._taken = False
        self._deadline = time.monotonic() + settings.CONFIG.build_seconds
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def say(self, line: str) -> None:
        """One line of the log. Raises as `check`."""
        with self._lock:
            self._log.append(redact(line))
            self._news = True
        self.check()

    def check(self) -> None:
        """Return while the work may go on.

        Raises:
            TakenOver, OutOfTime.
        """
        if self._taken:
            raise TakenOver
        if time.monotonic() > self._deadline:
            raise OutOfTime

    @property
    def text(self) -> str:
        with self._lock:
            return self._log.text

    def tail(self, lines: int) -> str:
        with self._lock:
            return self._log.tail(lines)

    # --- the thread ---------------------------------------------------------------------------

    def _keep(self) -> None:
        beaten = time.monotonic()
        try:
            while not self._over.wait(_TURN_SECONDS) and not self._taken:
                due = time.monotonic() - beaten >= settings.CONFIG.build_heartbeat_seconds
                if due or self._news:
                    beaten = time.monotonic()
                    self._write()
        finally:
            connections.close_all()

    def _write(self) -> None:
        with self._lock:
            text, news = self._log.text, self._news
            self._news = False
        written = {"log": text, "revision": F("revision") + 1} if news else {}
        try:
            won = held(self._build).update(heartbeat_at=clock.now(), **written)
        except DatabaseError as problem:
            # The next turn tries again; whoever takes the build over does so much later.
            log.warning("build_not_kept", build=self._build.public_id, problem=str(problem))
            return
        self._taken = won == 0
        if news and won:
            # Uncounted: the page asks for the newest.
            live.changed(f"build:{self._build.public_id}", 0)


def held(build: Build) -> QuerySet[Build]:
    """The row, as long as it is this worker's."""
    return Build.objects.filter(pk=build.pk, token=build.token, state=Build.State.RUNNING)
