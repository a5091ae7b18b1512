"""The collector's HTTP client against servers that behave and servers that do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from monitoring.adapters import http
from monitoring.adapters.http import Connection, NoAnswer

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


@asynccontextmanager
async def serving(talk: Talk) -> AsyncIterator[Connection]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    connection = Connection(*server.sockets[0].getsockname()[:2])
    try:
        yield connection
    finally:
        connection.close()
        server.close()
        await asyncio.sleep(0)


async def request(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def test_one_connection_serves_many_requests():
    opened, heads = [], []

    async def talk(reader, writer):
        opened.append(1)
        while True:
            heads.append(await request(reader))
            writer.write(OK)

    async with serving(talk) as connection:
        for _ in range(5):
            answer = await connection.get("/x", timeout=5, token="secret")
            assert (answer.status, answer.body) == (200, b"hi")

    assert len(opened) == 1
    assert heads[0].startswith(b"GET /x HTTP/1.1\r\n")
    assert b"Authorization: Bearer secret\r\n" in heads[0]


async def test_chunks_are_put_together():
    async def talk(reader, writer):
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        await reader.read()

    async with serving(talk) as connection:
        assert (await connection.get("/", timeout=5)).body == b"abcde"


async def test_a_server_that_hung_up_on_an_idle_connection_is_asked_again():
    opened = []

    async def talk(reader, writer):
        opened.append(1)
        await request(reader)
        writer.write(OK)
        await writer.drain()
        if len(opened) == 1:
            await asyncio.wait_for(reader.readexactly(1), 5)  # takes the next request, hangs up
        else:
            await reader.read()

    async with serving(talk) as connection:
        await connection.get("/", timeout=5)
        assert (await connection.get("/", timeout=5)).status == 200

    assert len(opened) == 2


async def test_a_silent_server_costs_the_time_limit_and_the_connection():
    opened = []

    async def talk(reader, writer):
        opened.append(1)
        await request(reader)
        if len(opened) > 1:
            writer.write(OK)
        await reader.read()

    async with serving(talk) as connection:
        with pytest.raises(NoAnswer, match=r"no answer within 0\.05 s"):
            await connection.get("/", timeout=0.05)
        # A late answer to the first request must not be taken for that to the second.
        assert (await connection.get("/", timeout=5)).body == b"hi"

    assert len(opened) == 2


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"]
)
async def test_what_is_not_a_whole_answer_is_none(answer: bytes):
    async def talk(reader, writer):
        await request(reader)
        writer.write(answer)
        await writer.drain()

    async with serving(talk) as connection:
        with pytest.raises(NoAnswer):
            await connection.get("/", timeout=5)


async def test_nobody_listening_is_no_answer():
    async def talk(reader, writer):
        await request(reader)

    async with serving(talk) as connection:
        address, port = connection.address, connection.port
    with pytest.raises(NoAnswer):
        await Connection(address, port).get("/", timeout=5)


async def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 1000)

    async def talk(reader, writer):
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 50000)
        await reader.read()

    async with serving(talk) as connection:
        with pytest.raises(NoAnswer, match="too large"):
            await connection.get("/", timeout=5)
