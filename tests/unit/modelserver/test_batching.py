"""Requests that come together are run together, and nobody notices but by the time it takes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelserver.dataplane import DataPlane, Results
from modelserver.errors import Busy, ModelFailed
from modelserver.requests import Given, InferenceRequest
from modelserver.tensors import Array
from tests.unit.modelserver.fakes import Echo, Refusing, one_thread, plane_for, until
from wire.signature import DYNAMIC, Signature, TensorSpec

WIDE = Signature(
    (TensorSpec("x", "FP32", (DYNAMIC, DYNAMIC)), TensorSpec("name", "BYTES", (DYNAMIC,))),
    (TensorSpec("double", "FP32", (DYNAMIC, DYNAMIC)), TensorSpec("names", "BYTES", (DYNAMIC,))),
)
POISON = -1.0
UNREAL = -2.0


class Doubler(Echo):
    """Doubles each row; fails on a whole run with a poisoned row, answers NaN for an unreal one."""

    def __init__(self) -> None:
        super().__init__(WIDE)
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    @property
    def runs(self) -> list[int]:
        return [len(feeds["x"]) for feeds in self.fed]

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        self.fed.append(feeds)
        assert self.may_go_on.wait(10)
        x: Any = feeds["x"]
        if (x == POISON).any():
            raise ModelFailed("model:run-failed", "The model failed on this input.")
        made = {"double": np.where(x == UNREAL, np.nan, x * 2), "names": feeds["name"]}
        return [
            made[name].astype(feeds["x"].dtype) if name == "double" else made[name]
            for name in outputs
        ]


def request(plane: DataPlane, value: float, rows: int = 1, width: int = 2) -> InferenceRequest:
    inputs = [
        Given("x", "FP32", [rows, width], [value] * (rows * width)),
        Given("name", "BYTES", [rows], [f"{value:g}"] * rows),
    ]
    return plane.request("tumour", None, inputs)


def promised(plane: DataPlane, request: InferenceRequest) -> asyncio.Future[Results]:
    promise = plane.run(request)
    assert isinstance(promise, asyncio.Future)
    return promise


def is_right(results: Results, value: float, rows: int, width: int) -> bool:
    double, names = results.arrays
    return bool(
        double.shape == (rows, width)
        and (double == 2 * value).all()
        and names.tolist() == [f"{value:g}"] * rows
        and results.rows == rows
    )


async def test_requests_of_one_tick_are_one_run() -> None:
    model = Doubler()
    plane = plane_for(model, batch_rows=8)
    waiting = [promised(plane, request(plane, value)) for value in (1, 2, 3)]
    assert model.runs == []
    answers = await asyncio.gather(*waiting)
    assert model.runs == [3]
    assert all(is_right(*each) for each in zip(answers, (1, 2, 3), (1,) * 3, (2,) * 3, strict=True))


async def test_a_request_alone_is_answered_at_the_next_tick() -> None:
    model = Doubler()
    plane = plane_for(model, batch_rows=8)
    waiting = promised(plane, request(plane, 1))
    for _ in range(2):
        await asyncio.sleep(0)
    assert waiting.done()


async def test_a_full_batch_does_not_wait() -> None:
    model = Doubler()
    plane = plane_for(model, batch_rows=4, batch_window_ms=60_000)
    waiting = [promised(plane, request(plane, value, rows=2)) for value in (1, 2, 3)]
    assert model.runs == [4]
    assert [each.done() for each in waiting] == [True, True, False]
    waiting[2].cancel()


async def test_what_does_not_fit_begins_the_next_batch() -> None:
    model = Doubler()
    plane = plane_for(model, batch_rows=4)
    await asyncio.gather(*(promised(plane, request(plane, 1, rows)) for rows in (3, 2, 1)))
    assert model.runs == [3, 3]


async def test_other_widths_are_other_runs() -> None:
    model = Doubler()
    plane = plane_for(model, batch_rows=8)
    widths = (2, 3, 2, 3)
    answers = await asyncio.gather(
        *(promised(plane, request(plane, 1, width=width)) for width in widths)
    )
    assert sorted(model.runs) == [2, 2]
    assert [answer.arrays[0].shape[1] for answer in answers] == [*widths]


async def test_each_gets_the_outputs_that_it_asked_for() -> None:
    model = Doubler()
    plane = plane_for(model, batch_rows=8)
    one, two = request(plane, 1), request(plane, 2)
    names = plane.identity.signature.outputs[1:]
    first, second = await asyncio.gather(
        promised(plane, one._replace(outputs=names)), promised(plane, two)
    )
    assert [array.tolist() for array in first.arrays] == [["1"]]
    assert [array.tolist() for array in second.arrays] == [[[4.0, 4.0]], ["2"]]
    assert model.runs == [2]


def test_what_is_as_large_as_a_batch_is_run_at_once() -> None:
    model = Doubler()
    plane = plane_for(model, batch_rows=4)
    results = plane.run(request(plane, 1, rows=4))
    assert isinstance(results, Results)
    assert is_right(results, 1, 4, 2)


def test_inputs_with_different_numbers_of_rows_are_no_part_of_a_batch() -> None:
    plane = plane_for(Doubler(), batch_rows=4)
    inputs = [Given("x", "FP32", [1, 1], [1.0]), Given("name", "BYTES", [2], ["a", "b"])]
    assert isinstance(plane.run(plane.request("tumour", None, inputs)), Results)


async def test_a_bad_request_fails_alone() -> None:
    model = Doubler()
    plane = plane_for(model, batch_rows=8)
    values = (1, POISON, 2, UNREAL)
    answers = await asyncio.gather(
        *(promised(plane, request(plane, value)) for value in values), return_exceptions=True
    )
    assert [isinstance(answer, ModelFailed) for answer in answers] == [False, True, False, True]
    assert model.runs == [4, 1, 1, 1, 1]


async def test_while_all_workers_are_busy_a_batch_grows() -> None:
    model = Doubler()
    model.may_go_on.clear()
    with one_thread() as pool:
        plane = plane_for(model, pool=pool, loop_values=0, batch_rows=8, queue_limit=9)
        waiting = [promised(plane, request(plane, 1))]
        await until(lambda: len(model.fed) == 1)
        for value in (2, 3, 4):
            waiting.append(promised(plane, request(plane, value)))
            await asyncio.sleep(0)
        model.may_go_on.set()
        answers = await asyncio.gather(*waiting)
    assert model.runs == [1, 3]
    assert all(is_right(answer, value, 1, 2) for value, answer in enumerate(answers, 1))
    assert all(answer.queue_seconds >= 0 for answer in answers)


async def test_too_many_waiting_are_refused_and_who_gives_up_makes_room() -> None:
    model = Doubler()
    model.may_go_on.clear()
    with one_thread() as pool:
        plane = plane_for(model, pool=pool, loop_values=0, batch_rows=8, queue_limit=2)
        running, waiting = promised(plane, request(plane, 1)), None
        await until(lambda: len(model.fed) == 1)
        waiting = promised(plane, request(plane, 2))
        with pytest.raises(Busy):
            plane.run(request(plane, 3))
        waiting.cancel()
        model.may_go_on.set()
        await running
        answer = await promised(plane, request(plane, 3))
    assert is_right(answer, 3, 1, 2)
    assert model.runs == [1, 1]


asks = st.tuples(
    st.sampled_from([1.0, 2.0, 3.0, POISON, UNREAL]),
    st.integers(1, 5),
    st.integers(1, 2),
    st.booleans(),
)
steps = st.lists(st.integers(0, 3) | asks, max_size=14)


@given(
    steps,
    st.integers(1, 6),
    st.sampled_from([0, 1]),
    st.sampled_from([0, 1, 2]),
    st.sampled_from([0, 8, 1000]),
)
@settings(print_blob=True, max_examples=60)
def test_whatever_comes_together_each_gets_the_answer_to_its_own_rows(
    story: list[Any], batch_rows: int, window: int, workers: int, loop_values: int
) -> None:
    """A number lets the event loop turn so often; a tuple asks, and may give up at once."""
    asyncio.run(_told(story, batch_rows, window, workers, loop_values))


async def _told(
    story: list[Any], batch_rows: int, window: int, workers: int, loop_values: int
) -> None:
    model = Doubler()
    pool = ThreadPoolExecutor(workers) if workers else Refusing()
    with pool:
        plane = plane_for(
            model,
            pool=pool,
            loop_values=loop_values if workers else 10_000,
            workers=max(1, workers),
            queue_limit=100,
            batch_rows=batch_rows,
            batch_window_ms=window,
        )
        waiting: list[tuple[Any, Any]] = []
        for step in story:
            if isinstance(step, int):
                for _ in range(step):
                    await asyncio.sleep(0)
            else:
                value, rows, width, gives_up = step
                promise = _asked(plane, request(plane, value, rows, width))
                if gives_up and isinstance(promise, asyncio.Future):
                    promise.cancel()
                waiting.append((step, promise))
        for step, promise in waiting:
            await _hold(step, promise)
    for feeds in model.fed:
        assert len({*feeds["name"].tolist()}) == 1 or len(feeds["x"]) <= batch_rows


def _asked(plane: DataPlane, asked: InferenceRequest) -> Any:
    try:
        return plane.run(asked)
    except ModelFailed as problem:
        return problem


async def _hold(step: Any, promise: Any) -> None:
    value, rows, width, _ = step
    try:
        outcome = await asyncio.wait_for(promise, 10) if asyncio.isfuture(promise) else promise
    except ModelFailed as problem:
        outcome = problem
    except asyncio.CancelledError:
        return
    if value in (POISON, UNREAL):
        assert isinstance(outcome, ModelFailed)
    else:
        assert is_right(outcome, value, rows, width)
