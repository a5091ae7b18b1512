"""What a model gave, held against what its signature promised."""

from __future__ import annotations

import numpy as np

from modelserver.errors import ModelFailed, NotFinite, shown
from modelserver.nonfinite import all_finite
from modelserver.tensors import Array
from wire.signature import DATATYPES, DYNAMIC, TensorSpec


class OutputCheck:
    """Checks one output. Everything it finds, it raises as ModelFailed."""

    def __init__(self, spec: TensorSpec, *, allow_nonfinite: bool = False) -> None:
        datatype = DATATYPES[spec.datatype]
        self._spec = spec
        self._rank = len(spec.shape)
        self._fixed = [(at, size) for at, size in enumerate(spec.shape) if size != DYNAMIC]
        self.minds_nonfinite = datatype.kind == "float" and not allow_nonfinite
        self._dtype = np.dtype(datatype.numpy)

    def check(self, array: Array) -> None:
        self.form(array)
        self.values(array)

    def form(self, array: Array) -> None:
        """The datatype, the rank and every dimension that the signature fixes."""
        if array.dtype != self._dtype:
            raise self._failed("datatype", f"is {array.dtype}, not {self._spec.datatype}")
        shape = array.shape
        if len(shape) != self._rank:
            raise self._misshapen(array)
        for at, size in self._fixed:
            if shape[at] != size:
                raise self._misshapen(array)

    def values(self, array: Array) -> None:
        """Neither NaN nor infinity, unless the version allows them."""
        if self.minds_nonfinite and not all_finite(self._spec.datatype, array):
            raise NotFinite(
                "output:nonfinite",
                f"The model's output {shown(self._spec.name)} has NaN or infinity, which this"
                " version does not answer.",
            )

    def _misshapen(self, array: Array) -> ModelFailed:
        promised = list(self._spec.shape)
        return self._failed(
            "shape", f"has the shape {list(array.shape)}; its signature says {promised}"
        )

    def _failed(self, what: str, problem: str) -> ModelFailed:
        return ModelFailed(
            f"output:{what}", f"The model's output {shown(self._spec.name)} {problem}."
        )
