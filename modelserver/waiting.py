"""Inferences that are promised instead of given at once: counted, bounded, run in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import TypeVar

from modelserver.errors import Busy

T = TypeVar("T")
R = TypeVar("R")


class WaitingLine:
    """Used from the event loop only; at most `limit` inferences are in it, waiting or running."""

    def __init__(self, pool: Executor, limit: int) -> None:
        self._pool = pool
        self._limit = limit
        self.length = 0

    def enter(self) -> None:
        """Raises Busy when the line is full. Who entered must leave."""
        if self.length >= self._limit:
            raise Busy("server:busy", "Too many inferences are waiting; try again shortly.")
        self.length += 1

    def leave(self) -> None:
        self.length -= 1

    def run(self, work: Callable[[], T], then: Callable[[T | BaseException], None]) -> Future[T]:
        """Works in a thread; `then` is called on the event loop, exactly once, with the outcome."""
        loop = asyncio.get_running_loop()

        def done(job: Future[T]) -> None:
            # Of a server that has ended meanwhile, nobody waits for an outcome.
            outcome: T | BaseException = _outcome(job)
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(then, outcome)

        job = self._pool.submit(work)
        job.add_done_callback(done)
        return job

    def promise(self, work: Callable[[], T], finish: Callable[[T], R]) -> asyncio.Future[R]:
        """What `finish` makes of the outcome, on the event loop. Cancelling takes it out of the
        line, unless a thread is at it already. Raises Busy."""
        self.enter()
        promised: asyncio.Future[R] = asyncio.get_running_loop().create_future()

        def then(outcome: T | BaseException) -> None:
            self.leave()
            settle(promised, outcome, finish)

        job = self.run(work, then)
        promised.add_done_callback(lambda it: job.cancel() if it.cancelled() else None)
        return promised


def settle(
    promised: asyncio.Future[R], outcome: T | BaseException, finish: Callable[[T], R]
) -> None:
    """Keeps a promise, unless nobody waits for it any more."""
    if promised.done():
        return
    if isinstance(outcome, BaseException):
        promised.set_exception(outcome)
        return
    try:
        promised.set_result(finish(outcome))
    except Exception as problem:  # noqa: BLE001  # whoever waits must hear of it
        promised.set_exception(problem)


def _outcome(job: Future[T]) -> T | BaseException:
    if job.cancelled():
        return asyncio.CancelledError()
    problem = job.exception()
    return job.result() if problem is None else problem
