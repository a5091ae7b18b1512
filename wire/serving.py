"""How a release serves: the configuration that is part of its digest."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from wire.fields import Fields

MIB = 1024 * 1024

_WHOLE = {
    "max_body_bytes": (1024, 2**31),
    "threads": (0, 256),
    "workers": (1, 256),
    "queue_limit": (1, 100_000),
    "batch_rows": (0, 100_000),
    "batch_window_ms": (0, 60_000),
    "memory_bytes": (64 * MIB, 2**50),
    "pids": (16, 100_000),
}
_NUMBERS = {"cpus": (0.05, 256.0)}


@dataclass(frozen=True, slots=True)
class ServingConfig:
    """Every field has a default: `from_json({})` is a valid configuration.

    The limits bound a replica's container: `memory_bytes`, `cpus` (of processor time) and `pids`.
    On process hosts, `memory_bytes` and `cpus` only choose the number of threads.
    """

    max_body_bytes: int = 10 * MIB
    threads: int = 0  # ONNX Runtime's threads for one inference; 0: as many as whole `cpus`
    workers: int = 2  # inferences at a time, for models too slow for the event loop
    queue_limit: int = 128  # inferences waiting or running before new ones are refused
    batch_rows: int = 0  # rows that one run may take from several requests; 0: no batching
    batch_window_ms: int = 0  # how long a batch waits for more; 0: until the loop's next tick
    memory_bytes: int = 2048 * MIB
    cpus: float = 1.0
    pids: int = 256

    @property
    def inference_threads(self) -> int:
        return self.threads or max(1, math.floor(self.cpus))

    def to_json(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: object) -> ServingConfig:
        """Strict; raises wire.errors.Unreadable with `manifest:invalid`."""
        given = Fields(raw, kind="manifest", where="serving configuration")
        values: dict[str, int | float] = {
            name: given.whole(name, low=low, high=high)
            for name, (low, high) in _WHOLE.items()
            if given.has(name)
        }
        values |= {
            name: given.number(name, low=low, high=high)
            for name, (low, high) in _NUMBERS.items()
            if given.has(name)
        }
        given.close()
        return cls(**values)  # type: ignore[arg-type]  # each by the bounds of its own kind
