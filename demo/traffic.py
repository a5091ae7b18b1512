"""An independent client that sends predictions at a fixed rate and counts every attempt.

    python -m demo.traffic URL ROWS KEY --rate 50

Its own process: what it counts does not depend on who tells the story. It sends on schedule,
whether earlier answers have come or not, retries nothing, and says how it stands twice a second,
one JSON object a line. It ends when its standard input does, and then says it a last time.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from cli import trust

_SAY_EVERY = 0.5
_TIMEOUT = 10.0
_REMEMBERED = 50_000


@dataclass(slots=True)
class Tally:
    """attempted = answered with 200 + failed + in flight, at every moment."""

    sent: int = 0
    ok: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    versions: dict[str, dict[str, float]] = field(default_factory=dict)
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def answered(self, version: str, took: float, now: float) -> None:
        self.ok += 1
        self.seconds.append(took)
        seen = self.versions.setdefault(version, {"answers": 0, "first": now, "last": now})
        seen["answers"] += 1
        seen["last"] = now

    def failed(self, why: str) -> None:
        self.failures[why] += 1

    def told(self) -> dict[str, Any]:
        failed = self.failures.total()
        return {
            "at": time.time(),
            "sent": self.sent,
            "ok": self.ok,
            "failed": failed,
            "in_flight": self.sent - self.ok - failed,
            "failures": dict(self.failures),
            "versions": self.versions,
            "p50_ms": quantile_ms(self.seconds, 0.5),
            "p99_ms": quantile_ms(self.seconds, 0.99),
        }


def quantile_ms(seconds: deque[float], q: float) -> float | None:
    if not seconds:
        return None
    ordered = sorted(seconds)
    return round(1000 * ordered[min(len(ordered) - 1, int(q * len(ordered)))], 2)


def body_of(row: list[float]) -> bytes:
    """One row as an Open Inference request."""
    tensor = {"name": "X", "datatype": "FP32", "shape": [1, len(row)], "data": row}
    return json.dumps({"inputs": [tensor]}).encode()


async def attempt(client: httpx.AsyncClient, url: str, body: bytes, tally: Tally) -> None:
    """Counted before anything can go wrong, and once more whatever comes of it."""
    tally.sent += 1
    began = time.perf_counter()
    try:
        response = await client.post(url, content=body)
        if response.status_code != 200:
            tally.failed(str(response.status_code))
        elif "outputs" not in response.json():
            tally.failed("no outputs")
        else:
            version = response.headers.get("x-model-version", "?")
            tally.answered(version, time.perf_counter() - began, time.time())
    except (httpx.HTTPError, ValueError) as problem:
        tally.failed(type(problem).__name__)


async def send(
    url: str, rows: list[list[float]], key: str, rate: float, over: threading.Event
) -> Tally:
    tally, flying = Tally(), set[asyncio.Task[None]]()
    bodies = itertools.cycle([body_of(row) for row in rows])
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx.AsyncClient(
        headers=headers,
        timeout=_TIMEOUT,
        limits=limits,
        verify=trust.context(),
        trust_env=False,
    ) as client:
        began = said = time.perf_counter()
        for number in itertools.count(1):
            flight = asyncio.create_task(attempt(client, url, next(bodies), tally))
            flying.add(flight)
            flight.add_done_callback(flying.discard)
            if over.is_set():
                break
            if (now := time.perf_counter()) - said >= _SAY_EVERY:
                said = now
                say(tally)
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        await asyncio.gather(*flying)
    return tally


def say(tally: Tally) -> None:
    print(json.dumps(tally.told()), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo.traffic", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("rows", type=Path)
    parser.add_argument("key", type=Path, help="a file that holds an endpoint key")
    parser.add_argument("--rate", type=float, default=50.0)
    told = parser.parse_args()
    rows = json.loads(told.rows.read_text())["rows"]
    over = threading.Event()

    def until_eof() -> None:
        while sys.stdin.buffer.read(1):
            pass
        over.set()

    threading.Thread(target=until_eof, daemon=True).start()
    key = told.key.read_text().strip()
    say(asyncio.run(send(told.url, rows, key, told.rate, over)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
