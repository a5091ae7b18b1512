"""What is tried before the first user comes, and what is held against the signature after that."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from modelserver import loading, model
from modelserver.errors import LoadFailed, ModelFailed
from modelserver.outputs import OutputCheck
from modelserver.runner import Runner
from modelserver.tensors import Array
from modelserver.warmup import LOOP_ROWS, LOOP_SECONDS, Warm, warm_up
from tests.unit.modelserver import graphs
from tests.unit.modelserver.fakes import TABLE, Echo
from wire.serving import ServingConfig
from wire.signature import DYNAMIC, Signature, TensorSpec


class Clockwork(Echo):
    """Takes a moment for a run and one for each row."""

    def __init__(self, seconds: float, of_a_row: float, signature: Signature = TABLE) -> None:
        super().__init__(signature)
        self.seconds = seconds
        self.of_a_row = of_a_row

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        (array,) = feeds.values()
        rows = len(array) if array.ndim else 1
        until = time.perf_counter() + self.seconds + rows * self.of_a_row
        while time.perf_counter() < until:
            pass
        shape = (rows,) if array.ndim else ()
        return [np.zeros(shape, np.float32)]


def warmed(graph: bytes, **more: Any) -> Warm:
    return warm_up(Runner(model.load(graph)), **more)


def one_node(operator: str, output: graphs.Shape = ("N", 2), **attributes: Any) -> bytes:
    node = helper.make_node(operator, ["x"], ["y"], **attributes)
    return graphs.model([node], [graphs.tensor("x")], [graphs.tensor("y", shape=output)])


def refusal(graph: bytes, **more: Any) -> LoadFailed:
    with pytest.raises(LoadFailed) as refused:
        warmed(graph, **more)
    return refused.value


def test_a_slow_model_is_never_run_on_the_event_loop() -> None:
    warm = warm_up(Runner(Clockwork(LOOP_SECONDS * 2, 0)))
    assert (warm.loop_values, warm.seconds > LOOP_SECONDS) == (0, True)


def test_a_model_that_is_fast_for_one_row_is_not_so_for_any_number() -> None:
    warm = warm_up(Runner(Clockwork(0, LOOP_SECONDS / 8)))
    assert warm.loop_values < LOOP_ROWS * 3 / 4


def test_more_than_was_tried_is_not_run_on_the_event_loop() -> None:
    assert warmed(graphs.identity()).loop_values <= LOOP_ROWS * 2


def test_of_no_rows_a_model_answers_what_follows_from_what_it_showed() -> None:
    assert warmed(graphs.identity()).without_rows == {"y": (0, 2)}


def test_an_output_that_does_not_follow_the_rows_has_no_answer_for_none_of_them() -> None:
    mean = helper.make_node("ReduceMean", ["x"], ["y"], keepdims=0)
    graph = graphs.model([mean], [graphs.tensor("x")], [graphs.tensor("y", shape=())])
    assert warmed(graph).without_rows == {}


def test_a_width_that_is_free_in_the_output_is_known_where_nothing_else_is_free() -> None:
    graph = graphs.model(
        [helper.make_node("Identity", ["x"], ["y"])],
        [graphs.tensor("x", shape=("N", 3))],
        [graphs.tensor("y", shape=("N", "M"))],
    )
    assert warmed(graph).without_rows == {"y": (0, 3)}
    free = graphs.model(
        [helper.make_node("Identity", ["x"], ["y"])],
        [graphs.tensor("x", shape=("N", "M"))],
        [graphs.tensor("y", shape=("N", "M"))],
    )
    assert warmed(free).without_rows == {}


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.INT64, TensorProto.BFLOAT16])
def test_a_model_of_independent_rows_can_be_batched(kind: int) -> None:
    assert warmed(graphs.identity(kind), batch_rows=8).seconds > 0


@pytest.mark.parametrize(
    ("graph", "word"),
    [
        (one_node("Softmax", axis=0), "depends on the other rows"),
        (graphs.identity(shape=(1, 2)), "free in every"),
        (one_node("Transpose", (2, "N")), "free in every"),
    ],
)
def test_a_model_whose_rows_do_not_keep_apart_is_not_batched(graph: bytes, word: str) -> None:
    assert warmed(graph).seconds > 0
    failed = refusal(graph, batch_rows=8)
    assert failed.code == "model:cannot-batch"
    assert word in failed.message


def test_an_output_that_is_not_as_promised_is_found_before_users_find_it() -> None:
    wrong = graphs.model(
        [helper.make_node("Identity", ["x"], ["y"])],
        [graphs.tensor("x", shape=("N", "M"))],
        [graphs.tensor("y", shape=("N", 2))],
    )
    failed = refusal(wrong)
    assert failed.code == "model:warm-up-failed"
    assert "[1, 1]" in failed.message


def test_nan_on_made_up_values_is_found_before_users_find_it() -> None:
    graph = one_node("Log")
    negative = graphs.model(
        [helper.make_node("Neg", ["x"], ["minus"]), helper.make_node("Log", ["minus"], ["y"])],
        [graphs.tensor("x")],
        [graphs.tensor("y")],
    )
    assert warmed(graph).seconds > 0
    assert "NaN" in refusal(negative).message
    warm_up(Runner(model.load(negative), allow_nonfinite=True))


@pytest.mark.parametrize(
    ("shape", "array", "code"),
    [
        ((DYNAMIC, 2), np.zeros((3, 2), np.float32), None),
        ((DYNAMIC, 2), np.zeros((0, 2), np.float32), None),
        ((), np.float32(1).reshape(()), None),
        ((DYNAMIC, 2), np.zeros((3, 3), np.float32), "output:shape"),
        ((DYNAMIC, 2), np.zeros(3, np.float32), "output:shape"),
        ((), np.zeros(1, np.float32), "output:shape"),
        ((DYNAMIC, 2), np.zeros((3, 2), np.float64), "output:datatype"),
        ((DYNAMIC,), np.array([1, np.nan], np.float32), "output:nonfinite"),
        ((DYNAMIC,), np.array([1, -np.inf] * 100, np.float32), "output:nonfinite"),
        ((DYNAMIC,), np.full(3, 3e38, np.float32), None),
    ],
)
def test_an_output_is_held_against_its_signature(
    shape: tuple[int, ...], array: Any, code: str | None
) -> None:
    check = OutputCheck(TensorSpec("y", "FP32", shape))
    if code is None:
        check.check(array)
        return
    with pytest.raises(ModelFailed) as failed:
        check.check(array)
    assert failed.value.code == code
    if code == "output:nonfinite":
        OutputCheck(TensorSpec("y", "FP32", shape), allow_nonfinite=True).check(array)


@pytest.mark.parametrize("datatype", ["FP16", "FP64"])
def test_large_values_are_no_infinity(datatype: str) -> None:
    check = OutputCheck(TensorSpec("y", datatype, (DYNAMIC,)))
    dtype = {"FP16": np.float16, "FP64": np.float64}[datatype]
    check.values(np.full(100, np.finfo(dtype).max, dtype))
    with pytest.raises(ModelFailed):
        check.values(np.array([np.inf], dtype))


def test_a_model_that_forgets_an_output_has_failed() -> None:
    class Forgets(Echo):
        def run(self, feeds: Any, outputs: Any) -> Any:
            return []

    with pytest.raises(ModelFailed) as failed:
        Runner(Forgets(TABLE)).run({"X": np.zeros((1, 3), np.float32)}, TABLE.outputs)
    assert failed.value.code == "output:missing"


def test_a_model_is_loaded_with_the_threads_of_its_release_and_compared() -> None:
    graph = graphs.identity()
    signature = model.load(graph).signature
    config = ServingConfig(cpus=2.5, workers=3, batch_rows=16, batch_window_ms=1)
    prepared = loading.prepare(graph, signature, config)
    options = prepared.serving.model._session.get_session_options()  # type: ignore[attr-defined]
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    assert (prepared.serving.workers, prepared.serving.batch_rows) == (3, 16)
    other = Signature(signature.inputs, (TensorSpec("y", "FP32", (DYNAMIC, 3)),))
    with pytest.raises(LoadFailed) as failed:
        loading.prepare(graph, other, config)
    assert failed.value.code == "model:other-signature"
