"""One JSON line per event on standard error. Never a request's content, never a token."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable
from typing import TextIO

import orjson

MAX_TRACE = 4000
# A model that fails on every request must not spend its time on telling so.
PROBLEMS, PER_SECONDS = 20, 10.0


class Log:
    """`fields` are added to every line: which replica of which release is speaking."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        wall: Callable[[], float] = time.time,
        **fields: object,
    ) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._wall = wall
        self._fields = fields
        self._told, self._untold, self._since = 0, 0, 0.0

    def bind(self, **fields: object) -> None:
        """Adds to every line from now on."""
        self._fields = self._fields | fields

    def event(self, event: str, **fields: object) -> None:
        line = {"at": round(self._wall(), 3), "event": event} | self._fields | fields
        self._stream.write(orjson.dumps(line, default=str).decode() + "\n")
        self._stream.flush()

    def problem(self, event: str, problem: BaseException, **fields: object) -> None:
        """An event with the exception behind it, causes included. Of very many, some are only
        counted: the next that is told says how many were not."""
        now = self._wall()
        if now - self._since > PER_SECONDS:
            self._told, self._since = 0, now
        if self._told >= PROBLEMS:
            self._untold += 1
            return
        self._told += 1
        if self._untold:
            fields["untold"], self._untold = self._untold, 0
        trace = "".join(traceback.format_exception(problem))
        self.event(event, error=str(problem)[:MAX_TRACE], trace=trace[-MAX_TRACE:], **fields)


class LogHandler(logging.Handler):
    """Makes lines of what libraries log in the usual way."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.event(
            "library", logger=record.name, level=record.levelname, message=record.getMessage()
        )
