"""Loading, warming up and inspecting, with ONNX Runtime itself."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from modelserver import inspect, memory, model, onnxfile
from modelserver.errors import LoadFailed, ModelFailed
from modelserver.requests import RequestReader
from modelserver.runner import Runner
from modelserver.warmup import warm_up
from tests.unit.modelserver import graphs
from wire.signature import TensorSpec

MODELS = Path(__file__).parents[3] / "demo" / "models"


def refusal(blob: bytes) -> LoadFailed:
    with pytest.raises(LoadFailed) as refused:
        warm_up(Runner(model.load(blob)))
    return refused.value


@pytest.mark.parametrize(
    ("kind", "datatype"),
    [
        (TensorProto.BOOL, "BOOL"),
        (TensorProto.INT8, "INT8"),
        (TensorProto.UINT64, "UINT64"),
        (TensorProto.FLOAT16, "FP16"),
        (TensorProto.BFLOAT16, "BF16"),
        (TensorProto.FLOAT, "FP32"),
        (TensorProto.DOUBLE, "FP64"),
        (TensorProto.STRING, "BYTES"),
    ],
)
def test_every_datatype_is_read_warmed_up_and_run(kind: int, datatype: str) -> None:
    loaded = model.load(graphs.identity(kind))
    assert loaded.signature.inputs == (TensorSpec("x", datatype, (-1, 2)),)
    assert 0 < warm_up(Runner(loaded)).seconds < 1


def test_an_output_without_a_declared_shape_gets_the_rank_that_it_shows() -> None:
    loaded = model.load(graphs.output_of_unknown_rank())
    assert loaded.signature.outputs == (TensorSpec("y", "FP32", (-1,)),)


def test_a_single_value_is_no_shape_that_is_missing() -> None:
    scalar = TensorSpec("x", "FP32", ())
    assert model.load(graphs.identity(shape=())).signature.inputs == (scalar,)


def test_named_dimensions_are_known_by_their_names() -> None:
    assert model.load(graphs.two_inputs()).symbols == {"a": ("N", None), "b": ("N", None)}
    assert model.load(graphs.identity(shape=(None, 2))).symbols == {"x": (None, None)}


def test_a_batch_size_baked_into_the_graph_fails_the_warm_up_but_not_the_inspection(
    tmp_path: Path,
) -> None:
    failed = refusal(graphs.baked_batch())
    assert failed.code == "model:warm-up-failed"
    assert "answers 1 row but fails on 4" in failed.message
    artifact = tmp_path / "model.onnx"
    artifact.write_bytes(graphs.baked_batch())
    assert inspect.inspect(artifact)["nodes"] == 1


@pytest.mark.parametrize(
    ("make", "code", "word"),
    [
        (graphs.sequence_output, "model:unsupported-output", "`y`"),
        (graphs.sequence_input, "model:unsupported-input", "`x`"),
        (graphs.without_input, "model:unsupported-input", "no input"),
        (graphs.texts_and_bfloats, "model:unsupported-input", "BF16"),
        (graphs.input_of_any_rank, "model:unsupported-input", "how many dimensions"),
        (graphs.eight_bit_floats, "model:unsupported-output", "float8e5m2"),
        (
            lambda: b"\x80\x04\x95 a pickle, as some call a model",
            "model:load-failed",
            "ONNX Runtime",
        ),
        (lambda: b"", "model:load-failed", "ONNX Runtime"),
        (lambda: graphs.identity()[:40], "model:load-failed", "ONNX Runtime"),
        (graphs.fails_on_any_row, "model:warm-up-failed", "one row"),
    ],
)
def test_what_cannot_be_served_is_refused_in_words(
    make: Callable[[], bytes], code: str, word: str
) -> None:
    failed = refusal(make())
    assert failed.code == code
    assert word in failed.message


def test_a_list_of_dictionaries_is_answered_with_the_option_that_avoids_it() -> None:
    class Argument:
        name, type, shape = "probabilities", "seq(map(int64,tensor(float)))", ()

    with pytest.raises(LoadFailed) as refused:
        model._spec(Argument(), "output")
    assert "'zipmap': False" in refused.value.message


@pytest.mark.parametrize(
    "problem",
    [MemoryError(), RuntimeError("std::bad_alloc"), RuntimeError("Failed to allocate memory")],
)
def test_a_lack_of_memory_has_a_code_of_its_own(problem: BaseException) -> None:
    assert model.load_failure(problem).code == "model:too-large-to-load"


def test_a_run_that_fails_names_its_cause_only_inside() -> None:
    loaded = model.load(graphs.baked_batch())
    with pytest.raises(ModelFailed) as failed:
        loaded.run({"x": np.zeros((2, 2), np.float32)}, ["y"])
    assert "Reshape" not in failed.value.message
    assert "Reshape" in str(failed.value.__cause__)


def test_what_a_large_request_took_is_given_back() -> None:
    loaded = model.load(graphs.takes_much_in_between())
    loaded.run({"x": np.zeros((4_000_000, 2), np.float32)}, ["y"])
    before = memory.resident_bytes()
    loaded.give_back()
    memory.trim()
    assert memory.resident_bytes() < before - 20 * memory.MIB


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_inspection_reports_a_sample_that_a_client_could_send(number: int) -> None:
    report = inspect.inspect(MODELS / f"tumour-{number}.onnx")
    loaded = model.load((MODELS / f"tumour-{number}.onnx").read_bytes())
    assert report["signature"] == loaded.signature.to_json()
    assert report["producer"] == "skl2onnx" == loaded.producer
    parsed = RequestReader(loaded.signature, loaded.symbols).parse(orjson.dumps(report["sample"]))
    label, probabilities = loaded.run(parsed.feeds, ["label", "probabilities"])
    assert label.shape == (1,)
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-6)


def test_a_refused_inspection_is_an_answer_too(tmp_path: Path) -> None:
    out = io.BytesIO()
    assert inspect.run(tmp_path / "missing.onnx", out) == 3
    assert orjson.loads(out.getvalue())["code"] == "model:unreadable"
    artifact = tmp_path / "model.onnx"
    artifact.write_bytes(graphs.fails_on_any_row())
    out = io.BytesIO()
    assert inspect.run(artifact, out) == 3
    assert orjson.loads(out.getvalue())["code"] == "model:run-failed"


def test_the_facts_of_a_file_are_read_without_onnx() -> None:
    facts = onnxfile.read(graphs.two_inputs())
    assert facts == onnxfile.Facts(ir_version=9, producer="the tests", opsets={"": 18}, nodes=1)


@given(st.binary(max_size=200))
def test_any_bytes_have_facts_or_a_value_error(blob: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert onnxfile.read(blob).nodes >= 0


def test_the_demos_models_are_small() -> None:
    sizes = [path.stat().st_size for path in MODELS.iterdir() if path.suffix in {".onnx", ".json"}]
    assert len(sizes) == 4
    assert sum(sizes) < 120_000
