"""One model run, with everything that is checked of what comes out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from modelserver.errors import Invalid, ModelFailed
from modelserver.outputs import OutputCheck
from modelserver.requests import InferenceRequest, Symbols
from modelserver.tensors import Array
from wire.signature import DATATYPES, Signature, TensorSpec


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
    """May be called from several threads at once.

    `without_rows` are the shapes of the outputs for a request of no rows, of those where they are
    known (`modelserver.warmup`).
    """

    def __init__(
        self,
        model: Model,
        *,
        allow_nonfinite: bool = False,
        without_rows: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        self.model = model
        self._without_rows = without_rows or {}
        self._all = model.signature.outputs
        checks = [OutputCheck(spec, allow_nonfinite=allow_nonfinite) for spec in self._all]
        self._all_names = [spec.name for spec in self._all]
        self._all_checks = checks
        self._checks = dict(zip(self._all_names, checks, strict=True))

    def answer(self, request: InferenceRequest, asked: float) -> Results:
        """Runs the model for one request, which has waited since `asked`. Raises ModelFailed, or
        Invalid for a request of no rows to a model that cannot have one."""
        started = time.perf_counter()
        outputs, rows = request.outputs, request.rows
        if not rows:
            return Results([self._empty(spec) for spec in outputs], 0, started - asked, 0.0)
        arrays = self.run(request.feeds, outputs)
        self.check_values(arrays, outputs)
        ended = time.perf_counter()
        return Results(arrays, rows, started - asked, ended - started)

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[TensorSpec]) -> list[Array]:
        """The outputs in that order, of the right form; `check_values` is still to come. Raises
        ModelFailed."""
        every = outputs is self._all
        names = self._all_names if every else [spec.name for spec in outputs]
        arrays = self.model.run(feeds, names)
        if len(arrays) != len(names):
            said = "The model gave another number of outputs than it promised."
            raise ModelFailed("output:missing", said)
        checks = self._all_checks if every else [self._checks[name] for name in names]
        for check, array in zip(checks, arrays, strict=True):
            check.form(array)
        return arrays

    def _empty(self, spec: TensorSpec) -> Array:
        """No row without a run: see `TensorReader._check_empty`."""
        shape = self._without_rows.get(spec.name)
        if shape is None:
            said = "The request has no rows, and the model's answer to that is not known."
            raise Invalid("input:empty", said)
        return np.empty(shape, np.dtype(DATATYPES[spec.datatype].numpy))

    def check_values(self, arrays: Sequence[Array], outputs: Sequence[TensorSpec]) -> None:
        """Raises ModelFailed."""
        every = outputs is self._all
        checks = self._all_checks if every else [self._checks[spec.name] for spec in outputs]
        for check, array in zip(checks, arrays, strict=True):
            if check.minds_nonfinite:
                check.values(array)
