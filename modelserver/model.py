"""An ONNX file as something that can be run. The only module that knows ONNX Runtime."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import onnxruntime

from modelserver import sample
from modelserver.errors import LoadFailed, ModelFailed
from modelserver.requests import Symbols
from modelserver.tensors import Array
from wire.signature import BY_ONNX, DYNAMIC, Signature, TensorSpec

FATAL_ONLY = 4
WARM_UP_BATCH = 4
_OUT_OF_MEMORY = (
    "bad_alloc",
    "bad allocation",
    "failed to allocate",
    "out of memory",
    "allocation failed",
)


class OnnxModel:
    """A loaded model. `run` may be called from several threads at once."""

    def __init__(self, session: Any, signature: Signature, symbols: Symbols) -> None:
        self._session = session
        self.signature = signature
        self.symbols = symbols

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """The outputs in the order asked for. Raises ModelFailed; its cause is for the log only."""
        try:
            results: list[Array] = self._session.run(list(outputs), feeds)
        except Exception as problem:  # ONNX Runtime's exceptions have no common base of their own
            raise ModelFailed("model:run-failed", "The model failed on this input.") from problem
        return results

    @property
    def producer(self) -> str:
        return str(self._session.get_modelmeta().producer_name)


def load(blob: bytes, *, threads: int = 1) -> OnnxModel:
    """The model in these bytes. From memory, never from a path: what was checked is what is loaded,
    and a file has no folder in which it could look for external data.

    Raises LoadFailed: model:load-failed, model:too-large-to-load, model:unsupported-input,
    model:unsupported-output.
    """
    onnxruntime.set_default_logger_severity(FATAL_ONLY)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = FATAL_ONLY
    # Spinning threads win microseconds for one model and take whole cores from all the others.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(blob, options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # see OnnxModel.run
        raise load_failure(problem) from problem
    session.disable_fallback()
    inputs = tuple(_spec(arg, "input") for arg in session.get_inputs())
    outputs = tuple(_spec(arg, "output") for arg in session.get_outputs())
    if not inputs:
        raise LoadFailed(
            "model:unsupported-input", "The model takes no input, so it cannot predict anything."
        )
    symbols = {
        arg.name: tuple(size if isinstance(size, str) and size else None for size in arg.shape)
        for arg in session.get_inputs()
    }
    return OnnxModel(session, Signature(inputs, outputs), symbols)


def load_failure(problem: BaseException) -> LoadFailed:
    """ONNX Runtime's refusal in words for the person who made the model."""
    text = str(problem)
    if isinstance(problem, MemoryError) or any(sign in text.lower() for sign in _OUT_OF_MEMORY):
        return LoadFailed(
            "model:too-large-to-load", "The model needs more memory than it may have here."
        )
    first_line = " ".join(text.split())[:400]
    return LoadFailed("model:load-failed", f"ONNX Runtime cannot load this model: {first_line}")


def _spec(arg: Any, side: str) -> TensorSpec:
    datatype = BY_ONNX.get(arg.type)
    if datatype is None:
        raise LoadFailed(f"model:unsupported-{side}", _unsupported(arg, side))
    shape = tuple(size if isinstance(size, int) and size >= 0 else DYNAMIC for size in arg.shape)
    return TensorSpec(arg.name, datatype.name, shape)


def _unsupported(arg: Any, side: str) -> str:
    sentence = f"The {side} `{arg.name}` is a `{arg.type}`, but only plain tensors can be served."
    if side == "output" and "map(" in arg.type:
        sentence += (
            " skl2onnx makes such a list of dictionaries for class probabilities; convert the model"
            " with options={'zipmap': False} and it becomes a tensor."
        )
    return sentence


def warm_up(model: OnnxModel) -> float:
    """Runs made-up inputs: one row and, where the signature promises it, several.

    Returns the seconds of one warm inference. Raises LoadFailed with `model:warm-up-failed`, which
    a batch size baked into the graph causes: it passes every run of a single row.
    """
    outputs = [spec.name for spec in model.signature.outputs]
    _warm(model, outputs, 1)
    if sample.takes_batches(model.signature):
        _warm(model, outputs, WARM_UP_BATCH)
    return min(_warm(model, outputs, 1) for _ in range(3))


def _warm(model: OnnxModel, outputs: Sequence[str], rows: int) -> float:
    feeds = sample.feeds(model.signature, rows)
    started = time.perf_counter()
    try:
        model.run(feeds, outputs)
    except ModelFailed as problem:
        raise LoadFailed("model:warm-up-failed", _warm_up_failure(rows, problem)) from problem
    return time.perf_counter() - started


def _warm_up_failure(rows: int, problem: ModelFailed) -> str:
    cause = " ".join(str(problem.__cause__).split())[:400]
    if rows == 1:
        return f"The model fails on one row of made-up values: {cause}"
    return (
        f"The model answers 1 row but fails on {rows}, although its signature leaves the number"
        f" of rows free; a batch size is probably baked into the graph: {cause}"
    )
