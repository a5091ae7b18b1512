"""One run for the rows of several requests, when they come together.

A batch is open until it is full or due: at the next tick of the event loop, or after a window. If
all workers are busy then, it stays open and grows. So a server without load answers at once, and
one under load runs fewer and larger batches.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from modelserver.errors import ModelFailed
from modelserver.requests import InferenceRequest
from modelserver.runner import Results, Runner
from modelserver.tensors import Array
from modelserver.waiting import WaitingLine, settle
from wire.signature import TensorSpec

Outcome = Results | Exception
_Key = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class _Member:
    request: InferenceRequest
    asked: float
    finish: Callable[[Results], Any]
    promised: asyncio.Future[Any]


@dataclass(slots=True)
class _Batch:
    key: _Key
    members: list[_Member] = field(default_factory=list)
    rows: int = 0
    is_due: bool = False


class Batcher:
    """Collects requests whose inputs differ in nothing but their number of rows.

    `max_rows` bounds a batch; `window` is in seconds, 0 meaning the next tick; a batch of at most
    `loop_values` input values runs on the event loop, others in up to `workers` threads.
    """

    def __init__(
        self,
        runner: Runner,
        line: WaitingLine,
        *,
        max_rows: int,
        window: float,
        workers: int,
        loop_values: int,
    ) -> None:
        self._runner = runner
        self._line = line
        self._max_rows = max_rows
        self._window = window
        self._workers = workers
        self._loop_values = loop_values
        self._open: dict[_Key, _Batch] = {}
        self._due: deque[_Batch] = deque()
        self._running = 0

    def takes(self, request: InferenceRequest) -> bool:
        """Whether it may be run with others: it has rows and not too many, and all its inputs have
        the same number of them."""
        rows = request.rows
        return 0 < rows < self._max_rows and all(
            len(array) == rows for array in request.feeds.values()
        )

    def add(
        self, request: InferenceRequest, finish: Callable[[Results], Any]
    ) -> asyncio.Future[Any]:
        """What `finish` makes of the request's own results. Raises Busy."""
        self._line.enter()
        loop = asyncio.get_running_loop()
        promised: asyncio.Future[Any] = loop.create_future()
        key = tuple(array.shape[1:] for array in request.feeds.values())
        batch = self._open.get(key)
        if batch is not None and batch.rows + request.rows > self._max_rows:
            self._close(batch)
            batch = None
        if batch is None:
            batch = self._open[key] = _Batch(key)
            if self._window:
                loop.call_later(self._window, self._is_due, batch)
            else:
                loop.call_soon(self._is_due, batch)
        batch.members.append(_Member(request, time.perf_counter(), finish, promised))
        batch.rows += request.rows
        if batch.rows >= self._max_rows:
            self._close(batch)
        return promised

    def _close(self, batch: _Batch) -> None:
        """Nothing more comes in; there is nothing to wait for."""
        del self._open[batch.key]
        self._is_due(batch)

    def _is_due(self, batch: _Batch) -> None:
        if batch.is_due:
            return
        batch.is_due = True
        self._due.append(batch)
        self._dispatch()

    def _dispatch(self) -> None:
        """Runs what is due, as far as there are workers."""
        while self._due:
            batch = self._due[0]
            members = [member for member in batch.members if not member.promised.done()]
            requests = [(member.request, member.asked) for member in members]
            on_the_loop = sum(request.values for request, _ in requests) <= self._loop_values
            if not on_the_loop and self._running >= self._workers:
                return
            self._due.popleft()
            if self._open.get(batch.key) is batch:
                del self._open[batch.key]
            for _ in range(len(batch.members) - len(members)):
                self._line.leave()  # who gave up while waiting
            if not members:
                continue
            if on_the_loop:
                self._settle(members, run_together(self._runner, requests))
            else:
                self._running += 1
                work = partial(run_together, self._runner, requests)
                self._line.run(work, partial(self._ran, members))

    def _ran(self, members: Sequence[_Member], outcome: list[Outcome] | BaseException) -> None:
        self._running -= 1
        if isinstance(outcome, BaseException):
            problem = outcome if isinstance(outcome, Exception) else RuntimeError("was cancelled")
            outcome = [problem] * len(members)
        self._settle(members, outcome)
        self._dispatch()

    def _settle(self, members: Sequence[_Member], outcomes: Sequence[Outcome]) -> None:
        for member, outcome in zip(members, outcomes, strict=True):
            self._line.leave()
            settle(member.promised, outcome, member.finish)


def run_together(
    runner: Runner, requests: Sequence[tuple[InferenceRequest, float]]
) -> list[Outcome]:
    """One outcome for each request, in their order. Where the common run fails, each is run alone,
    so that the one that is at fault fails alone."""
    if len(requests) == 1:
        return [_alone(runner, *requests[0])]
    started = time.perf_counter()
    wanted = _wanted([request for request, _ in requests])
    try:
        joint = runner.run(_joined([request for request, _ in requests]), wanted)
        _require_rows(joint, sum(request.rows for request, _ in requests))
    except Exception:  # noqa: BLE001  # whatever it is, all of them wait for an outcome
        return [_alone(runner, request, asked) for request, asked in requests]
    took = time.perf_counter() - started
    places = {spec.name: place for place, spec in enumerate(wanted)}
    outcomes: list[Outcome] = []
    at = 0
    for request, asked in requests:
        arrays = [joint[places[spec.name]][at : at + request.rows] for spec in request.outputs]
        at += request.rows
        outcomes.append(_checked(runner, request, arrays, started - asked, took))
    return outcomes


def _alone(runner: Runner, request: InferenceRequest, asked: float) -> Outcome:
    try:
        return runner.answer(request, asked)
    except Exception as problem:  # noqa: BLE001  # the outcome of this one, not of its neighbours
        return problem


def _checked(
    runner: Runner, request: InferenceRequest, arrays: list[Array], queued: float, took: float
) -> Outcome:
    try:
        runner.check_values(arrays, request.outputs)
    except ModelFailed as problem:
        return problem
    return Results(arrays, request.rows, queued, took)


def _wanted(requests: Sequence[InferenceRequest]) -> tuple[TensorSpec, ...]:
    """Every output that one of them asks for."""
    first = requests[0].outputs
    if all(request.outputs is first for request in requests):
        return first
    return tuple({spec.name: spec for request in requests for spec in request.outputs}.values())


def _joined(requests: Sequence[InferenceRequest]) -> dict[str, Array]:
    return {
        name: np.concatenate([request.feeds[name] for request in requests])
        for name in requests[0].feeds
    }


def _require_rows(arrays: Sequence[Array], rows: int) -> None:
    if any(len(array) != rows for array in arrays):
        raise ModelFailed(
            "output:shape", "The model gave another number of rows than it was given."
        )
