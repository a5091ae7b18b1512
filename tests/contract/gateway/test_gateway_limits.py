"""A client that sends too much, too slowly or too often costs no more than itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from deployments.domain.routing import Grant
from tests.contract.gateway.harness import Gateway, Replica, Web, until
from tests.contract.gateway.keys import ALICE, bearer
from tests.contract.gateway.load import Load
from tests.contract.gateway.routes import BLUE, tumour

pytestmark = pytest.mark.needs("envoy")

Replicas = Callable[..., Awaitable[Replica]]
Gateways = Callable[..., Awaitable[Gateway]]

INFER = "/v2/models/tumour/infer"
HASTY = ("--headers-seconds", "1", "--request-seconds", "1.5", "--idle-seconds", "2")


@pytest.fixture
async def blue(replicas: Replicas) -> Replica:
    return await replicas("blue")


@pytest.fixture
async def start(web: Web, blue: Replica, gateways: Gateways) -> Callable[..., Awaitable[Gateway]]:
    async def started(*options: str, **how: object) -> Gateway:
        routes = tumour({BLUE: 100}, {BLUE: [blue]}, **{"keys": (Grant(ALICE),), **how})  # type: ignore[arg-type]
        generations = web.publish(routes)
        gateway = await gateways(web, options=options)
        await web.acknowledged(generations)
        return gateway

    return started


class Talk:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, text: str | bytes) -> None:
        self.writer.write(text.encode() if isinstance(text, str) else text)
        await self.writer.drain()

    async def ends(self, within: float = 20.0) -> bytes:
        """Everything that came until the gateway closed the connection."""
        came = bytearray()
        with suppress(ConnectionError):
            async with asyncio.timeout(within):
                while more := await self.reader.read(65536):
                    came += more
        return bytes(came)


@asynccontextmanager
async def talk(gateway: Gateway) -> AsyncIterator[Talk]:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    yield Talk(reader, writer)
    writer.close()


def head(length: int | str, key: str = "") -> str:
    authorization = key or bearer()["authorization"]
    return (
        f"POST {INFER} HTTP/1.1\r\nhost: gateway\r\nauthorization: {authorization}\r\n"
        f"content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )


async def test_a_request_may_be_as_large_as_its_endpoint_takes(
    start: Callable[..., Awaitable[Gateway]], blue: Replica
) -> None:
    gateway = await start(max_body_bytes=100_000)
    async with gateway.client(headers=bearer()) as client:
        for size, status in ((100_000, 200), (100_001, 413), (1_000_000, 413)):
            answer = await client.post(INFER, content=b"x" * size)
            assert (size, answer.status_code) == (size, status)
        assert "larger" in answer.json()["error"]

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(1000):
                yield b"x" * 1000

        assert (await client.post(INFER, content=endless())).status_code == 413
    assert blue.bodies == [100_000]


async def test_a_stranger_is_refused_before_its_request_is_taken_in(
    start: Callable[..., Awaitable[Gateway]],
) -> None:
    gateway = await start(max_body_bytes=1_000_000)
    async with talk(gateway) as stranger:
        # Announced and never sent.
        await stranger.say(head(900_000, key="Bearer sesame"))
        assert b"401" in (await stranger.ends()).split(b"\r\n")[0]


async def test_headers_that_trickle_end_the_connection(
    start: Callable[..., Awaitable[Gateway]], blue: Replica
) -> None:
    gateway = await start(*HASTY)
    async with talk(gateway) as slow:
        await slow.say(f"POST {INFER} HTTP/1.1\r\n")
        answer = await slow.ends()
        assert b" 408 " in answer
    assert blue.requests == []


async def test_a_body_that_trickles_never_reaches_a_replica(
    start: Callable[..., Awaitable[Gateway]], blue: Replica
) -> None:
    gateway = await start(*HASTY)
    async with talk(gateway) as slow:
        await slow.say(head(1000))

        async def trickle() -> None:
            with suppress(ConnectionError):
                while True:
                    await slow.say(b"x")
                    await asyncio.sleep(0.05)

        trickling = asyncio.create_task(trickle())
        answer = await slow.ends()
        trickling.cancel()
    assert b" 408 " in answer
    assert b'"error"' in answer
    assert blue.requests == []


async def test_many_that_trickle_hold_up_nobody_else(
    start: Callable[..., Awaitable[Gateway]], blue: Replica
) -> None:
    gateway = await start("--request-seconds", "60")
    slow = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(300)]
    for _, writer in slow:
        writer.write(head(100_000).encode() + b"x")
    async with Load(gateway, INFER, connections=4, headers=bearer()) as load:
        await until(lambda: load.attempted > 200, "requests of others")
    assert load.problems == []
    assert all(size == len(b'{"inputs":[]}') for size in blue.bodies)
    for _, writer in slow:
        writer.close()


async def test_an_idle_connection_is_closed(start: Callable[..., Awaitable[Gateway]]) -> None:
    gateway = await start(*HASTY)
    async with talk(gateway) as idle:
        assert await idle.ends() == b""


async def test_headers_beyond_all_measure_are_refused(
    start: Callable[..., Awaitable[Gateway]], blue: Replica
) -> None:
    gateway = await start()
    async with gateway.client(headers=bearer()) as client:
        large = await client.post(INFER, json={}, headers={"x-padding": "x" * 50_000})
        many = await client.post(INFER, json={}, headers={f"x-{n}": "1" for n in range(200)})
    assert (large.status_code, many.status_code) == (431, 431)
    assert blue.requests == []


async def test_no_more_connections_than_allowed_and_room_again_afterwards(
    start: Callable[..., Awaitable[Gateway]],
) -> None:
    gateway = await start("--connections", "5")
    held = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(5)]
    async with talk(gateway) as one_more:
        assert await one_more.ends() == b""
    for _, writer in held:
        writer.close()

    async def answered() -> bool:
        async with talk(gateway) as there:
            await there.say("GET /v2/health/live HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n")
            return b" 200 " in await there.ends()

    for _ in range(500):
        if await answered():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("no room came back")


async def test_streams_that_are_reset_on_and_on_end_the_connection(
    start: Callable[..., Awaitable[Gateway]], blue: Replica
) -> None:
    """HTTP/2's rapid reset: each is as cheap to ask as it is dear to answer."""
    gateway = await start()
    async with talk(gateway) as rapid:
        await rapid.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
        path = INFER.encode()
        # Static table: POST, http; then literals without indexing for path and authority.
        block = b"\x83\x86" + b"\x04" + bytes([len(path)]) + path + b"\x01\x01g"
        with suppress(ConnectionError):
            for stream in range(1, 4001, 2):
                headers = frame(1, 0x4, stream, block)
                await rapid.say(headers + frame(3, 0, stream, b"\x00\x00\x00\x08"))
        await rapid.ends()
    assert blue.requests == []
    async with gateway.client(headers=bearer()) as client:
        assert (await client.post(INFER, json={})).status_code == 200


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    length = len(payload).to_bytes(3, "big")
    return length + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


async def test_a_replica_that_never_answers_costs_its_clients_only(
    start: Callable[..., Awaitable[Gateway]], blue: Replica
) -> None:
    """The time limit of a request is a minute; whoever leaves earlier frees the replica."""
    gateway = await start()
    blue.holds = asyncio.Event()
    async with talk(gateway) as leaves:
        await leaves.say(head(2) + "{}")
        await until(lambda: blue.requests, "the replica has the request")

    async def active() -> int:
        stats = (await gateway.admin("/stats?filter=upstream_rq_active$&format=json")).json()
        return sum(each["value"] for each in stats["stats"] if BLUE in each["name"])

    while await active():
        await asyncio.sleep(0.01)
    blue.holds.set()
