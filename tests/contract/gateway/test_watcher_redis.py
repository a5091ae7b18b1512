"""A Redis message makes a watcher prompt; without Redis it is only slower."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import redis.asyncio as redis

from controlplane.supervisor.store import bundled_server
from deployments.domain.gateways import SNAPSHOT_CHANNEL
from deployments.domain.routing import CLUSTER_TYPE
from deployments.xds.watcher import Watcher
from tests.contract.gateway.harness import free_port, until
from tests.fakes.snapshot_store import FakeSnapshotStore

pytestmark = pytest.mark.needs("redis")

KEY = ("staging", CLUSTER_TYPE)


@asynccontextmanager
async def redis_server(folder: Path) -> AsyncIterator[str]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(
            str(shutil.which("redis-server") or bundled_server()),
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
        ),
        *("--save", "", "--dir", str(folder)),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_message_wakes_and_the_end_of_redis_only_slows(tmp_path: Path) -> None:
    store = FakeSnapshotStore()
    generation = store.put(*KEY, [])
    async with redis_server(tmp_path) as url:
        # So seldom that only a message can be what wakes.
        watcher = Watcher(store, every=3600, redis_url=url)
        watcher.start()
        client = redis.from_url(url)
        assert await watcher.healthy()

        async def subscribed() -> bool:
            with suppress(redis.ConnectionError):
                return bool(await client.publish(SNAPSHOT_CHANNEL, b""))
            return False

        while not await subscribed():
            await asyncio.sleep(0.01)
        waiting = asyncio.create_task(watcher.newer(KEY, generation, timeout=20))
        generation = store.put(*KEY, [])
        await client.publish(SNAPSHOT_CHANNEL, b"")
        await until(waiting.done, "the message wakes", within=2)
        assert waiting.result()
        await client.aclose()
        await watcher.stop()

        patient = Watcher(store, every=0.05, redis_url=url)
        patient.start()
        assert await patient.healthy()
    store.put(*KEY, [])
    assert await patient.newer(KEY, generation, timeout=5)
    await patient.stop()
