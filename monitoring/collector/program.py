"""The collector: one watch per replica, one transaction per second, one frame per endpoint.

It may be killed at any moment. What it holds in memory is what it has not stored yet, a second's
worth; everything else is in the database, and the replicas keep counting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from core import clock, live
from core.heartbeat import beat
from monitoring.collector.database import PASSING, Database
from monitoring.collector.watch import Access, Means, Timing, Watch
from monitoring.domain.ledger import Checkpoint, Closed, Ledger, Second
from monitoring.domain.shards import Shard
from monitoring.selectors.frames import Frames
from monitoring.selectors.targets import Target, targets
from monitoring.services import recording, retention
from monitoring.services.recording import Claim

log = structlog.get_logger(__name__)

# A second is closed a little after its end: for answers that are just arriving.
_CLOSING_DELAY = 0.03
_PUBLISH_TIMEOUT = 2.0
_BEAT_SECONDS = 2.0
# Long after any answer of an ended replica could still arrive.
_FORGET_AFTER = retention.ENDED_FOR.total_seconds() * 2


class Collector:
    """`run` returns after `stop`, and raises Superseded when another one has taken over."""

    def __init__(
        self,
        shard: Shard,
        timing: Timing,
        access: Access,
    ) -> None:
        self._shard = shard
        self._timing = timing
        self._access = access
        self._database = Database()
        self._frames = Frames(shard)
        self._watches: dict[str, tuple[Watch, asyncio.Task[None]]] = {}
        self._unsaved: list[Closed] = []
        self._publishing: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        claim = await self._claim()
        if claim is None:
            return
        ledger = Ledger(claim.marks)
        means = Means(self._timing, self._database, ledger, self._access)
        log.info("collector_started", shard=str(self._shard), marks=len(claim.marks))
        chores = [asyncio.create_task(each) for each in (self._refresh(means), self._beat())]
        try:
            while not await self._stopped(_until_closing()):
                await self._second(claim, ledger, clock.timestamp())
            # A graceful end also stores the second that is not over; a kill loses only this.
            await self._second(claim, ledger, clock.timestamp() + 1)
        finally:
            tasks = [*chores, *(task for _, task in self._watches.values())]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._database.close()

    async def _claim(self) -> Claim | None:
        """The claim, as soon as the database gives it; None when told to stop before."""
        while True:
            try:
                return await self._database(recording.claim, self._shard)
            except PASSING as problem:
                log.warning("database_unavailable", problem=str(problem))
            if await self._stopped(1.0):
                return None

    async def _stopped(self, within: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), within)
        except TimeoutError:
            return False
        return True

    async def _refresh(self, means: Means) -> None:
        while True:
            try:
                self._follow(await self._database(targets, self._shard), means)
            except PASSING as problem:
                log.warning("database_unavailable", problem=str(problem))
            except Exception:
                log.exception("refresh_failed")
            await asyncio.sleep(self._timing.refresh)

    def _follow(self, found: Mapping[str, Target], means: Means) -> None:
        for gone in self._watches.keys() - found.keys():
            _, task = self._watches.pop(gone)
            task.cancel()
        for key, target in found.items():
            if key in self._watches:
                self._watches[key][0].target = target
            else:
                watch = Watch(target, means)
                self._watches[key] = (watch, asyncio.create_task(watch.run()))

    async def _second(self, claim: Claim, ledger: Ledger, until: float) -> None:
        """Close what is over and store it. While storing fails, what waits is kept small."""
        if self._unsaved and not await self._store(claim, ledger):
            ledger.compact()
            return
        self._unsaved = ledger.close(until)
        if self._unsaved:
            await self._store(claim, ledger)

    async def _store(self, claim: Claim, ledger: Ledger) -> bool:
        try:
            await self._database(recording.commit, claim, self._unsaved)
        except PASSING as problem:
            log.warning("windows_not_stored", problem=str(problem))
            return False
        closed, self._unsaved = self._unsaved, []
        await self._after(closed, ledger)
        return True

    async def _after(self, closed: Sequence[Closed], ledger: Ledger) -> None:
        ended = [each.end for each in closed if isinstance(each, Second)]
        if ended and (self._publishing is None or self._publishing.done()):
            # Of several collectors each stores its part: one second later all parts are there.
            end = ended[-1] if self._shard.of == 1 else ended[-1] - 1
            self._publishing = asyncio.create_task(self._publish(end))
        if any(isinstance(each, Checkpoint) for each in closed):
            keep = {watch.target.name for watch, _ in self._watches.values()}
            ledger.forget(keep, clock.timestamp() - _FORGET_AFTER)
            if ledger.contradictions:
                log.warning("reports_not_believed", count=ledger.contradictions)
                ledger.contradictions = 0
            if self._shard.index == 0:
                await self._tidy()

    async def _tidy(self) -> None:
        try:
            await self._database(retention.sweep)
        except PASSING as problem:
            log.warning("retention_put_off", problem=str(problem))

    async def _publish(self, end: int) -> None:
        """Never raises and never takes long: pages can do without a frame."""
        try:
            async with asyncio.timeout(_PUBLISH_TIMEOUT):
                await live.frames(await self._database(self._frames.at, end))
        except (TimeoutError, *PASSING) as problem:
            log.warning("frames_not_published", problem=str(problem) or "timeout")

    async def _beat(self) -> None:
        """In a thread of its own: a Redis that hangs must not stop the counting."""
        while True:
            await asyncio.to_thread(beat, "collector")
            await asyncio.sleep(_BEAT_SECONDS)


def _until_closing() -> float:
    return 1.0 - clock.timestamp() % 1.0 + _CLOSING_DELAY
