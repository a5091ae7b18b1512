"""An ONNX file as something that can be run. The only module that knows ONNX Runtime."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import onnxruntime

from modelserver import onnxfile, sample
from modelserver.errors import LoadFailed, ModelFailed
from modelserver.requests import Symbols
from modelserver.tensors import Array
from wire.signature import BY_ONNX, DATATYPES, DYNAMIC, Signature, TensorSpec

FATAL_ONLY = 4
_BF16 = "BF16"
_BF16_IN_ONNX = 16  # TensorProto.BFLOAT16
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
        specs = (*signature.inputs, *signature.outputs)
        if any(spec.datatype == _BF16 for spec in specs):
            self._run = self._run_with_bfloats
        else:
            # Past the wrapper, which checks again what is checked already: a tenth of the time that
            # a small model takes.
            self._run = getattr(session, "_sess", session).run
        self._bfloats = {spec.name for spec in signature.inputs if spec.datatype == _BF16}

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """The outputs in the order asked for. Raises ModelFailed; its cause is for the log only."""
        try:
            results: list[Array] = self._run(outputs, feeds, None)
        except Exception as problem:  # ONNX Runtime's exceptions have no common base of their own
            raise ModelFailed("model:run-failed", "The model failed on this input.") from problem
        return results

    def _run_with_bfloats(
        self, outputs: Sequence[str], feeds: Mapping[str, Array], options: object
    ) -> list[Array]:
        """numpy has no BF16, so ONNX Runtime takes and gives such tensors only as its own."""
        values = {name: self._value(name, array) for name, array in feeds.items()}
        results = self._session.run_with_ort_values(list(outputs), values, options)
        return [_taken(value) for value in results]

    def _value(self, name: str, array: Array) -> Any:
        make = onnxruntime.OrtValue
        if name in self._bfloats:
            bits = np.ascontiguousarray(array)
            return make.ortvalue_from_numpy_with_onnx_type(bits, _BF16_IN_ONNX)
        return make.ortvalue_from_numpy(array)

    def give_back(self) -> None:
        """Frees the memory that large requests took, which ONNX Runtime keeps for the next of them.
        It does so only at the end of a run, so this is one, of a made-up row."""
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        with suppress(Exception):  # then it stays as it is
            names = [spec.name for spec in self.signature.outputs]
            self._run(names, sample.feeds(self.signature), options)

    @property
    def producer(self) -> str:
        return str(self._session.get_modelmeta().producer_name)


def _taken(value: Any) -> Array:
    if value.element_type() != _BF16_IN_ONNX:
        array: Array = value.numpy()
        return array
    shape = value.shape()
    size = 2 * math.prod(shape)
    # A copy: the memory goes with the value.
    bits = ctypes.string_at(value.data_ptr(), size) if size else b""
    return np.frombuffer(bits, np.uint16).reshape(shape)


def load(blob: bytes, *, threads: int = 1) -> OnnxModel:
    """The model in these bytes. From memory, never from a path: what was checked is what is loaded,
    and a file has no folder in which it could look for external data.

    Raises LoadFailed: model:load-failed, model:too-large-to-load, model:unsupported-input,
    model:unsupported-output.
    """
    try:
        session = onnxruntime.InferenceSession(
            blob, _options(threads), providers=["CPUExecutionProvider"]
        )
    except Exception as problem:  # see OnnxModel.run
        raise load_failure(problem) from problem
    session.disable_fallback()
    shapeless = onnxfile.shapeless(blob)
    inputs = tuple(_input(arg, shapeless) for arg in session.get_inputs())
    if not inputs:
        raise LoadFailed(
            "model:unsupported-input", "The model takes no input, so it cannot predict anything."
        )
    outputs = tuple(_spec(arg, "output") for arg in session.get_outputs())
    _require_one_way(inputs, outputs)
    symbols = {
        arg.name: tuple(size if isinstance(size, str) and size else None for size in arg.shape)
        for arg in session.get_inputs()
    }
    model = OnnxModel(session, Signature(inputs, outputs), symbols)
    unknown = {spec.name for spec in outputs if not spec.shape and spec.name in shapeless}
    return _with_ranks_seen(model, unknown) if unknown else model


def _options(threads: int) -> Any:
    onnxruntime.set_default_logger_severity(FATAL_ONLY)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = FATAL_ONLY
    # ONNX Runtime's own heap never shrinks: one burst of large requests would be kept for ever. A
    # model of one row is faster without it, one of many milliseconds slower by one in a hundred.
    options.enable_cpu_mem_arena = False
    # Spinning threads win microseconds for one model and take whole cores from all the others.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _input(arg: Any, shapeless: frozenset[str]) -> TensorSpec:
    spec = _spec(arg, "input")
    if not arg.shape and arg.name in shapeless:
        said = (
            f"The input `{arg.name}` does not say how many dimensions it has; export the model with"
            " the shape of every input, its free dimensions named."
        )
        raise LoadFailed("model:unsupported-input", said)
    return spec


def _require_one_way(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> None:
    """ONNX Runtime takes BF16 only as values of its own, and makes such values of no texts."""
    text = next((spec.name for spec in inputs if spec.datatype == "BYTES"), None)
    if text and any(spec.datatype == _BF16 for spec in (*inputs, *outputs)):
        said = f"The input `{text}` is BYTES, and a model with BF16 as well cannot be given texts."
        raise LoadFailed("model:unsupported-input", said)


def _with_ranks_seen(model: OnnxModel, unknown: set[str]) -> OnnxModel:
    """To ONNX Runtime, an output that does not say its shape looks like a single value. So one
    made-up row is run, and shows the rank; its dimensions may all be of any size."""
    specs = model.signature.outputs
    try:
        arrays = model.run(sample.feeds(model.signature), [spec.name for spec in specs])
    except ModelFailed:
        return model  # warm-up and intake run it again, and say what is wrong with it
    seen = tuple(
        TensorSpec(spec.name, spec.datatype, (DYNAMIC,) * array.ndim)
        if spec.name in unknown
        else spec
        for spec, array in zip(specs, arrays, strict=True)
    )
    return OnnxModel(model._session, Signature(model.signature.inputs, seen), model.symbols)


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
    sentence = f"The {side} `{arg.name}` is a `{arg.type}`, which cannot be served: only plain"
    sentence += f" tensors of {', '.join(DATATYPES)} can."
    if side == "output" and "map(" in arg.type:
        sentence += (
            " skl2onnx makes such a list of dictionaries for class probabilities; convert the model"
            " with options={'zipmap': False} and it becomes a tensor."
        )
    return sentence
