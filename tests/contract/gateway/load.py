"""Load on a gateway of the tests, counted by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import httpx

from tests.contract.gateway.harness import Gateway


class Load:
    """Clients that count every attempt and every connection error."""

    def __init__(
        self,
        gateway: Gateway,
        path: str,
        *,
        connections: int = 8,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.gateway = gateway
        self.headers = headers
        self.path = path
        self.connections = connections
        self.attempted = 0
        self.problems: list[str] = []
        self.answered: dict[str, int] = {}
        self.slowest = 0.0
        self._stop = asyncio.Event()

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.create_task(self._one()) for _ in range(self.connections)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def _one(self) -> None:
        async with self.gateway.client(headers=self.headers) as client:
            while not self._stop.is_set():
                self.attempted += 1
                began = time.perf_counter()
                try:
                    answer = await client.post(self.path, json={"inputs": []})
                except httpx.HTTPError as problem:
                    self.problems.append(repr(problem))
                    await asyncio.sleep(0.01)
                    continue
                self.slowest = max(self.slowest, time.perf_counter() - began)
                if answer.status_code != 200:
                    self.problems.append(f"{answer.status_code} {answer.text[:80]}")
                    continue
                release = answer.headers["x-release"]
                self.answered[release] = self.answered.get(release, 0) + 1
