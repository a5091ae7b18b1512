"""One model run, with everything that is checked of what comes out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from modelserver.errors import Invalid, ModelFailed
from modelserver.outputs import OutputCheck
from modelserver.requests import InferenceRequest, Symbols
from modelserver.tensors import Array
from wire.signature import Signature, TensorSpec


class Model(Protocol):
    """What can be run; `modelserver.model.OnnxModel` is one."""

    signature: Signature
    symbols: Symbols

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]: ...


class Results(NamedTuple):
    """The arrays of `request.outputs` in that order, checked against the signature, and what they
    took. Queue time is zero for an inference on the event loop."""

    arrays: list[Array]
    rows: int
    queue_seconds: float
    run_seconds: float


class Runner:
    """May be called from several threads at once."""

    def __init__(self, model: Model, *, allow_nonfinite: bool = False) -> None:
        self.model = model
        self._all = model.signature.outputs
        self._all_names = [spec.name for spec in self._all]
        self._checks = {
            spec.name: OutputCheck(spec, allow_nonfinite=allow_nonfinite) for spec in self._all
        }

    def answer(self, request: InferenceRequest, asked: float) -> Results:
        """Runs the model for one request, which has waited since `asked`. Raises ModelFailed or
        Invalid."""
        started = time.perf_counter()
        outputs = request.outputs
        arrays = self.run(request.feeds, outputs)
        self.check_values(arrays, outputs)
        ended = time.perf_counter()
        return Results(arrays, request.rows, started - asked, ended - started)

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[TensorSpec]) -> list[Array]:
        """The outputs in that order, of the right form; `check_values` is still to come.

        Raises ModelFailed, or Invalid with `input:empty` where the model fails and was given
        nothing: that is the caller's doing.
        """
        names = self._all_names if outputs is self._all else [spec.name for spec in outputs]
        try:
            arrays = self.model.run(feeds, names)
        except ModelFailed as problem:
            if any(array.size == 0 for array in feeds.values()):
                said = "The model fails on inputs without values: there is nothing to predict."
                raise Invalid("input:empty", said) from problem
            raise
        if len(arrays) != len(names):
            said = "The model gave another number of outputs than it promised."
            raise ModelFailed("output:missing", said)
        for name, array in zip(names, arrays, strict=True):
            self._checks[name].form(array)
        return arrays

    def check_values(self, arrays: Sequence[Array], outputs: Sequence[TensorSpec]) -> None:
        """Raises ModelFailed."""
        for spec, array in zip(outputs, arrays, strict=True):
            self._checks[spec.name].values(array)
