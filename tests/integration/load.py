"""A client of its own that holds connections open, sends without pause and counts every attempt.

    python -m tests.integration.load URL ROWS KEY --connections 16

It shares no code with what it measures: HTTP/1.1 over plain sockets, nothing repeated, nothing
forgiven. An attempt is counted before it begins; whatever becomes of it (an answer, a refused or
reset connection, a broken answer, no answer in time) is its outcome. It ends when its standard
input does, or at the limit of time or number, finishes what it has begun, and prints it all as
one JSON object. It talks to this machine only.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

ANSWER_LIMIT = 10.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

Outcome = tuple[float, float, int, str, str]
"""Began and ended (seconds since the epoch), status (0 without one), version, what went wrong."""


class BrokenAnswer(Exception):
    """Bytes came that are no complete HTTP answer."""


@dataclass(frozen=True, slots=True)
class Target:
    host: str
    port: int
    path: str
    key: str
    bodies: tuple[bytes, ...]

    def request(self, body: bytes) -> bytes:
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n"
            f"authorization: Bearer {self.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(slots=True)
class Count:
    """`attempted` is written before an attempt, `outcomes` after it."""

    most: int
    until: float
    over: threading.Event
    attempted: int = 0
    outcomes: list[Outcome] = field(default_factory=list)

    def go_on(self) -> bool:
        return (
            not self.over.is_set() and self.attempted < self.most and time.monotonic() < self.until
        )


class Line:
    """One connection, opened again only after it was closed or has failed."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def attempt(self, body: bytes) -> Outcome:
        began = time.time()
        status, version, problem = 0, "", ""
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                status, version, last, answer = await self._exchange(body)
            if status != 200:
                problem = answer[:200].decode(errors="replace")
            if last:
                self.close()
        except (OSError, EOFError, ValueError, BrokenAnswer) as failure:
            problem = type(failure).__name__
            self.close()
        return began, time.time(), status, version, problem

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, body: bytes) -> tuple[int, str, bool, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._target.host, self._target.port)
        reader, writer = self._streams
        writer.write(self._target.request(body))
        await writer.drain()
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, colon, value in (line.partition(":") for line in lines)
            if colon
        }
        status = int(first.split(" ", 2)[1])
        answer = await _body(reader, headers)
        if status == 200 and "outputs" not in json.loads(answer):
            raise BrokenAnswer
        last = headers.get("connection") == "close"
        return status, headers.get("x-model-version", ""), last, answer


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    if headers.get("transfer-encoding") != "chunked":
        raise BrokenAnswer
    parts = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(parts)


async def _keep_sending(line: Line, bodies: Iterator[bytes], count: Count, pace: float) -> None:
    try:
        while count.go_on():
            count.attempted += 1
            count.outcomes.append(await line.attempt(next(bodies)))
            failed = count.outcomes[-1][2] == 0
            # Refused connections come back at once; without a pause they would be the load.
            await asyncio.sleep(max(pace, 0.02) if failed else pace)
    finally:
        line.close()


async def send(target: Target, count: Count, *, connections: int, pace: float) -> None:
    bodies = itertools.cycle(target.bodies)
    lines = [Line(target) for _ in range(connections)]
    await asyncio.gather(*(_keep_sending(line, bodies, count, pace) for line in lines))


def target_of(url: str, rows: Path, key: str) -> Target:
    parts = urlsplit(url)
    if parts.hostname not in _LOOPBACK or parts.port is None:
        raise SystemExit(f"{url} is not on this machine")
    bodies = tuple(
        json.dumps(
            {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, len(row)], "data": row}]}
        ).encode()
        for row in json.loads(rows.read_text())["rows"]
    )
    return Target(parts.hostname, parts.port, parts.path, key, bodies)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.integration.load", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("rows", type=Path)
    parser.add_argument("key", type=Path, help="a file that holds an endpoint key")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--pace", type=float, default=0.0, help="seconds of rest per connection")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--most", type=int, default=300_000)
    told = parser.parse_args()
    over = threading.Event()

    def until_eof() -> None:
        while sys.stdin.buffer.read(1):
            pass
        over.set()

    threading.Thread(target=until_eof, daemon=True).start()
    count = Count(told.most, time.monotonic() + told.seconds, over)
    target = target_of(told.url, told.rows, told.key.read_text().strip())
    asyncio.run(send(target, count, connections=told.connections, pace=told.pace))
    json.dump({"attempted": count.attempted, "outcomes": count.outcomes}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
