"""One watcher per process: knows the newest generations and wakes whoever waits for a newer one.

A look every `every` seconds is the guarantee; a Redis message makes it prompt. A held poll is one
coroutine waiting on an event: no thread, no database connection.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress

import redis.asyncio as redis
from redis.exceptions import RedisError

from deployments.domain.gateways import SNAPSHOT_CHANNEL
from deployments.xds.ports import Key, SnapshotStore

log = logging.getLogger(__name__)


class Watcher:
    def __init__(
        self, store: SnapshotStore, *, every: float = 0.5, redis_url: str | None = None
    ) -> None:
        self._store = store
        self._every = every
        self._redis_url = redis_url
        self._known: Mapping[Key, int] = {}
        self._looked_at: float | None = None
        self._hurry = asyncio.Event()
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Idempotent; called from the first request, because a mounted app gets no lifespan of its
        own."""
        if not self._tasks:
            self._tasks.append(asyncio.create_task(self._look_forever()))
            if self._redis_url:
                self._tasks.append(asyncio.create_task(self._listen_forever(self._redis_url)))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def hurry(self) -> None:
        """Look now instead of at the next regular time."""
        self._hurry.set()

    async def healthy(self, *, within: float = 5.0) -> bool:
        """Has the storage answered lately? On a fresh process this waits for the first look."""
        if self._looked_at is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), 2.0)
        return self._looked_at is not None and time.monotonic() - self._looked_at < within

    async def newer(self, key: Key, seen: int, *, timeout: float) -> bool:
        """Wait for a generation of `key` above `seen`; False after `timeout` seconds.

        "Above" and not "other": `seen` may be newer than what the last look found."""
        try:
            async with asyncio.timeout(timeout):
                while self._known.get(key, -1) <= seen:
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _look_forever(self) -> None:
        while True:
            self._hurry.clear()
            try:
                found = await self._store.generations()
            except Exception:
                # The loop must outlive every failure of the storage; `healthy` tells of it.
                log.warning("xds: cannot read the generations", exc_info=True)
            else:
                self._note(found)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), self._every)

    def _note(self, found: Mapping[Key, int]) -> None:
        first = self._looked_at is None
        self._looked_at = time.monotonic()
        if found != self._known or first:
            self._known = dict(found)
            # Everyone who waits now wakes; whoever waits later waits on the next event.
            self._changed.set()
            self._changed = asyncio.Event()

    async def _listen_forever(self, url: str) -> None:
        while True:
            with suppress(RedisError, OSError):
                client = redis.from_url(url)
                try:
                    await self._listen(client)
                finally:
                    await client.aclose()
            await asyncio.sleep(1.0)

    async def _listen(self, client: redis.Redis) -> None:
        async with client.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(SNAPSHOT_CHANNEL)
            async for _ in subscription.listen():
                self.hurry()
