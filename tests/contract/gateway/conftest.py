from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from core.pki import Authority
from tests.contract.gateway.grpc_replica import GrpcReplica
from tests.contract.gateway.harness import ENVIRONMENT, Gateway, Replica, Tls, Web
from tests.contract.gateway.routes import BLUE, GREEN
from wire import identity


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
async def web(authority: Authority) -> AsyncIterator[Web]:
    web = Web(authority)
    await web.start()
    yield web
    await web.kill()


@pytest.fixture
async def replicas(
    authority: Authority, tmp_path: Path
) -> AsyncIterator[Callable[..., Awaitable[Replica]]]:
    started: list[Replica] = []

    async def start(name: str, release: str = "", **how: Any) -> Replica:
        release = release or {"green": GREEN}.get(name, BLUE)
        who = identity.replica(ENVIRONMENT, release, f"rep_{name}")
        replica = Replica(name, Tls.issue(authority, who, tmp_path / f"replica-{name}"), **how)
        await replica.served.start()
        started.append(replica)
        return replica

    yield start
    for replica in started:
        await replica.served.kill()


@pytest.fixture
async def over_grpc() -> AsyncIterator[Callable[[Replica], Awaitable[GrpcReplica]]]:
    """Has a replica speak gRPC too."""
    started: list[GrpcReplica] = []

    async def start(replica: Replica) -> GrpcReplica:
        beside = GrpcReplica(replica)
        await beside.start()
        started.append(beside)
        return beside

    yield start
    for each in started:
        await each.kill()


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
