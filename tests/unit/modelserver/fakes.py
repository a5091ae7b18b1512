"""A model without ONNX Runtime, and a data plane around it that is ready at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from modelserver.dataplane import DataPlane, Identity, Serving
from modelserver.errors import ModelFailed
from modelserver.requests import Symbols
from modelserver.tensors import Array
from modelserver.warmup import LOOP_SECONDS
from wire.signature import DATATYPES, DYNAMIC, Signature, TensorSpec

EVERY_KIND = Signature(
    tuple(TensorSpec(name.lower(), name, (DYNAMIC, 2)) for name in DATATYPES),
    tuple(TensorSpec(f"same_{name.lower()}", name, (DYNAMIC, 2)) for name in DATATYPES),
)
TABLE = Signature(
    (TensorSpec("X", "FP32", (DYNAMIC, 3)),), (TensorSpec("sum", "FP32", (DYNAMIC,)),)
)


class Echo:
    """Answers each input as the output `same_<input>`; remembers what it was fed."""

    def __init__(self, signature: Signature = EVERY_KIND, symbols: Symbols | None = None) -> None:
        self.signature = signature
        self.symbols: Symbols = symbols or {}
        self.fed: list[Mapping[str, Array]] = []

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        self.fed.append(feeds)
        return [feeds[name.removeprefix("same_")] for name in outputs]


class Adder(Echo):
    """Sums each row of `X`; waits in the middle when told to, fails when told to."""

    def __init__(self) -> None:
        super().__init__(TABLE)
        self.fails = False
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        self.fed.append(feeds)
        assert self.may_go_on.wait(10)
        if self.fails:
            raise ModelFailed(
                "model:run-failed", "The model failed on this input."
            ) from ValueError("inner secret")
        return [np.sum(feeds["X"], axis=1, dtype=np.float32)]


class Refusing(Executor):
    """Stands for a thread pool where none may be used."""

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        raise AssertionError("this inference belongs on the event loop")


def plane_for(
    model: Echo,
    *,
    warm_seconds: float = 0.0,
    loop_values: int = 10_000,
    pool: Executor | None = None,
    queue_limit: int = 4,
    name: str = "tumour",
    version: str = "7",
    **more: Any,
) -> DataPlane:
    """Ready at once. A model that takes longer than the event loop may runs in the pool."""
    if warm_seconds > LOOP_SECONDS:
        loop_values = 0
    plane = DataPlane(Identity(name, version, model.signature))
    plane.serve(Serving(model, pool or Refusing(), queue_limit, loop_values, **more))
    return plane


def one_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1)


async def until(look: Any) -> None:
    """Lets the event loop turn until `look` is true."""
    async with asyncio.timeout(10):
        while not look():
            await asyncio.sleep(0)


def tensor(name: str, datatype: str, shape: Sequence[int], data: object) -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": list(shape), "data": data}


def table(rows: list[list[float]], **more: object) -> dict[str, object]:
    return {"inputs": [tensor("X", "FP32", [len(rows), 3], rows)]} | more
