"""How soon a revoked key is refused: from the call to the last request that was still let in."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from statistics import median

import httpx

from tests.bench.figures import Figure
from tests.integration.faults.gateways import second_gateway
from tests.integration.stack import ENVIRONMENT, MODEL, MODELS, Stack

ROUNDS = 10
AFTERWARDS = 0.5
"""How long a revoked key goes on knocking, to see whether it is ever let in again."""


def revocations(stack: Stack, folder: Path) -> list[Figure]:
    """With two gateways, asked two ways: what the system says (both have acknowledged), and what
    clients see that never stop asking."""
    said, seen, again = [], [], 0
    with second_gateway(stack, folder) as second:
        for number in range(ROUNDS):
            key = stack.slipway.issue_key(f"measured {number}", MODEL, environment=ENVIRONMENT)
            stack.slipway.wait_for_key(key.id)
            clients = [_Client(url, key.text) for url in (stack.infer_url, second)]
            for client in clients:
                client.until_let_in()
            called = time.monotonic()
            stack.slipway.revoke_key(key.id)
            stack.slipway.wait_for_key(key.id, every=0.005)
            acknowledged = time.monotonic()
            time.sleep(AFTERWARDS)
            for client in clients:
                client.end()
            said.append(acknowledged - called)
            seen += [max(0.0, client.last_let_in() - called) for client in clients]
            again += sum(client.let_in_after(acknowledged) for client in clients)
    return [
        Figure(f"revocation: call to acknowledged (median of {ROUNDS})", median(said), "s", 1.0),
        Figure("revocation: call to acknowledged (worst)", max(said), "s", 1.0),
        Figure("revocation: call to the last request let in (worst)", max(seen), "s", 1.0),
        Figure("requests let in after the acknowledgement", float(again), "", 0.0),
    ]


class _Client:
    """Asks without a pause on one connection, and keeps when each request began and its status."""

    def __init__(self, url: str, key: str) -> None:
        self.answers: list[tuple[float, int]] = []
        self._url, self._headers = url, {"authorization": f"Bearer {key}"}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on)
        self._thread.start()

    def until_let_in(self) -> None:
        while not any(status == 200 for _, status in self.answers):
            time.sleep(0.01)

    def last_let_in(self) -> float:
        return max(began for began, status in self.answers if status == 200)

    def let_in_after(self, moment: float) -> int:
        return sum(began > moment and status == 200 for began, status in self.answers)

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _go_on(self) -> None:
        row = json.loads((MODELS / "rows.json").read_text())["rows"][0]
        tensor = {"name": "X", "datatype": "FP32", "shape": [1, len(row)], "data": row}
        with httpx.Client(headers=self._headers, trust_env=False) as client:
            while not self._over.is_set():
                began = time.monotonic()
                answer = client.post(self._url, json={"inputs": [tensor]})
                self.answers.append((began, answer.status_code))
