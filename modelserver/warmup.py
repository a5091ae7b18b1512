"""Running a model before users do: that it works, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelserver import bfloat, sample
from modelserver.errors import LoadFailed, ModelFailed
from modelserver.runner import Runner
from modelserver.tensors import Array
from wire.signature import DATATYPES, DYNAMIC, Signature

# What the event loop may be kept from its connections. Above, a thread costs less than it frees.
LOOP_SECONDS = 0.001
LOOP_ROWS = 64
BATCH = 4
_RUNS = 3
# How far the rows of one run may be from those of single runs: other kernels add in another order.
_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class Warm:
    """`seconds` of one warm inference of one row; `loop_values` is the largest number of input
    values that are worked off within LOOP_SECONDS, as far as it was tried; `without_rows` are the
    shapes of the outputs for no rows, where they follow from what was seen."""

    seconds: float
    loop_values: int
    without_rows: Mapping[str, tuple[int, ...]]


def warm_up(runner: Runner, *, batch_rows: int = 0) -> Warm:
    """Runs made-up inputs: one row and, where the signature promises it, several; with `batch_rows`
    also whether rows of different callers keep apart.

    Raises LoadFailed: `model:warm-up-failed`, which a batch size baked into the graph causes (it
    passes every run of a single row), `model:cannot-batch`.
    """
    signature = runner.model.signature
    if batch_rows and not signature.can_be_batched:
        said = "Its first dimension is not free in every input and output."
        raise LoadFailed("model:cannot-batch", f"The model cannot be batched: {said}")
    one = sample.feeds(signature)
    of_one = _run(runner, one)
    without_rows = {}
    if signature.takes_batches:
        of_many = _run(runner, sample.feeds(signature, BATCH))
        without_rows = dict(_without_rows(signature, of_one, of_many))
    if batch_rows:
        _keep_apart(runner, signature)
        _run(runner, sample.feeds(signature, batch_rows))
    seconds = min(_timed(runner, one) for _ in range(_RUNS))
    return Warm(seconds, _loop_values(runner, one, seconds), without_rows)


def _without_rows(
    signature: Signature, of_one: Sequence[Array], of_many: Sequence[Array]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """An output that had a row for every row will have none for none, and the rest of its shape is
    the signature's, or always the same where no input leaves anything but its rows free."""
    only_rows_are_free = all(DYNAMIC not in spec.shape[1:] for spec in signature.inputs)
    for spec, one, many in zip(signature.outputs, of_one, of_many, strict=True):
        rest = one.shape[1:]
        follows_rows = spec.shape[:1] == (DYNAMIC,) and (len(one), len(many)) == (1, BATCH)
        is_known = DYNAMIC not in spec.shape[1:] or (only_rows_are_free and rest == many.shape[1:])
        if follows_rows and is_known:
            yield spec.name, (0, *rest)


def _loop_values(runner: Runner, one: Mapping[str, Array], seconds: float) -> int:
    if seconds > LOOP_SECONDS:
        return 0
    values = _values(one)
    signature = runner.model.signature
    if not signature.takes_batches:
        # One point says nothing of the overhead in it, so this is less than would do.
        return int(values * min(LOOP_ROWS, LOOP_SECONDS / max(seconds, 1e-6)))
    many = sample.feeds(signature, LOOP_ROWS)
    for_many = min(_timed(runner, many) for _ in range(_RUNS))
    if for_many <= LOOP_SECONDS:
        return values * LOOP_ROWS
    of_a_row = (for_many - seconds) / (LOOP_ROWS - 1)
    return values * int(1 + (LOOP_SECONDS - seconds) / of_a_row)


def _values(feeds: Mapping[str, Array]) -> int:
    return sum(array.size for array in feeds.values())


def _timed(runner: Runner, feeds: Mapping[str, Array]) -> float:
    started = time.perf_counter()
    _run(runner, feeds)
    return time.perf_counter() - started


def _run(runner: Runner, feeds: Mapping[str, Array]) -> list[Array]:
    outputs = runner.model.signature.outputs
    try:
        arrays = runner.run(feeds, outputs)
        runner.check_values(arrays, outputs)
    except ModelFailed as problem:
        first = next(iter(feeds.values()))
        rows = first.shape[0] if first.ndim else 1
        raise LoadFailed("model:warm-up-failed", _failure(rows, problem)) from problem
    return arrays


def _failure(rows: int, problem: ModelFailed) -> str:
    cause = " ".join(str(problem.__cause__ or problem.message).split())[:400]
    if rows == 1:
        return f"The model fails on one row of made-up values: {cause}"
    return (
        f"The model answers 1 row but fails on {rows}, although its signature leaves the number"
        f" of rows free; a batch size is probably baked into the graph: {cause}"
    )


def _keep_apart(runner: Runner, signature: Signature) -> None:
    """A model may mix its rows, as one that normalises over the whole batch does. Then one caller's
    answer would depend on another's question."""
    together = sample.varied(signature, BATCH)
    try:
        joint = runner.run(together, signature.outputs)
        for row in range(BATCH):
            alone = {name: array[row : row + 1] for name, array in together.items()}
            single = runner.run(alone, signature.outputs)
            for spec, all_rows, one_row in zip(signature.outputs, joint, single, strict=True):
                _require_same(spec.name, spec.datatype, all_rows, one_row, row)
    except ModelFailed as problem:
        raise LoadFailed("model:warm-up-failed", _failure(BATCH, problem)) from problem


def _require_same(name: str, datatype: str, joint: Array, single: Array, row: int) -> None:
    if len(joint) != BATCH or len(single) != 1:
        said = f"its output `{name}` has not one row for each row of the inputs."
        raise LoadFailed("model:cannot-batch", f"The model cannot be batched: {said}")
    if DATATYPES[datatype].kind == "float" and not _close(datatype, joint[row], single[0]):
        said = f"in its output `{name}`, a row depends on the other rows of the same run."
        raise LoadFailed("model:cannot-batch", f"The model cannot be batched: {said}")


def _close(datatype: str, joint: Array, single: Array) -> bool:
    if datatype == "BF16":
        joint, single = bfloat.widened(joint), bfloat.widened(single)
    scale = float(np.nanmax(np.abs(single), initial=0.0)) or 1.0
    return bool(np.allclose(joint, single, _TOLERANCE, _TOLERANCE * min(scale, 1.0), True))
