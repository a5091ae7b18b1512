from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.gateway.harness import Gateway, Replica, Web


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    web = Web()
    await web.start()
    yield web
    await web.kill()


@pytest.fixture
async def replicas() -> AsyncIterator[Callable[[str], Awaitable[Replica]]]:
    started: list[Replica] = []

    async def start(name: str) -> Replica:
        replica = Replica(name)
        await replica.served.start()
        started.append(replica)
        return replica

    yield start
    for replica in started:
        await replica.served.kill()


@pytest.fixture
async def gateways(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Gateway]]]:
    started: list[Gateway] = []

    async def start(web: Web, name: str = "gateway", serving: bool = True, **how: Any) -> Gateway:
        gateway = Gateway(tmp_path / name, web.url, **how)
        started.append(gateway)
        await gateway.start(serving=serving)
        return gateway

    yield start
    for gateway in started:
        await gateway.kill()
