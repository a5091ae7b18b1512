"""The database from an event loop: one thread, one connection, one thing at a time.

Everything that the collector reads and writes is short, and what it pulls does not wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from django.db import Error, InterfaceError, OperationalError, connections

P = ParamSpec("P")
R = TypeVar("R")

# What passes by itself: the server restarts, a lock is held too long, the disk is slow.
PASSING = (OperationalError, InterfaceError)


class Database:
    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")

    async def __call__(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `work` in the database's thread and return what it returns."""
        call = partial(_guarded, partial(work, *args, **kwargs))
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def close(self) -> None:
        await self(connections.close_all)
        self._thread.shutdown(wait=False)


def _guarded(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Error:
        # The connection may be broken for good; the next call opens another.
        connections.close_all()
        raise
