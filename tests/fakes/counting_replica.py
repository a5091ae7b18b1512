"""Replicas as a test tells them: how much they have counted, and what they say about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from wire.histogram import Recorder
from wire.report import Counts, Latency, Process, Report


@dataclass
class CountingReplica:
    """Counts what it is given, since its boot; `report` says it, like the model server does."""

    replica: str = "rep_A"
    release: str = "rel_1"
    boot: int = 1
    booted_at: float = 1000.0
    sequence: int = 0
    ok: int = 0
    failed: int = 0
    total: Recorder = field(default_factory=Recorder)
    keys: Counter[str] = field(default_factory=Counter)

    def serve(
        self, requests: int = 1, *, failed: int = 0, seconds: float = 0.004, key: str = ""
    ) -> None:
        if key:
            self.keys[key] += requests + failed
        self.ok += requests
        self.failed += failed
        for _ in range(requests + failed):
            self.total.record(seconds)

    def restart(self, at: float) -> None:
        self.boot += 1
        self.booted_at = at
        self.sequence = self.ok = self.failed = 0
        self.total = Recorder()
        self.keys = Counter()

    def report(self, at: float) -> Report:
        self.sequence += 1
        counts = Counts(
            requests={"2xx": self.ok, "4xx": 0, "5xx": self.failed},
            rows=self.ok,
            latency=Latency(total=self.total.snapshot()),
            keys=dict(self.keys),
        )
        return Report(
            replica=self.replica,
            release=self.release,
            boot_id=f"boot-{self.boot}",
            sequence=self.sequence,
            at=at,
            uptime=max(0.0, at - self.booted_at),
            counts=counts,
            in_flight=0,
            ready=True,
            process=Process(1, 0.0),
        )
