"""Inputs made up from a signature alone: for the run at intake and the warm-up of a replica."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modelserver import bfloat
from modelserver.tensors import Array, written
from wire.signature import DATATYPES, DYNAMIC, Signature, TensorSpec


def feeds(signature: Signature, rows: int = 1) -> dict[str, Array]:
    """One array per input; a free first dimension gets `rows`, every other free one a single place.

    Whole numbers are zero, because they are often positions in a table of unknown length.
    """
    return {spec.name: _made(spec, rows) for spec in signature.inputs}


def varied(signature: Signature, rows: int) -> dict[str, Array]:
    """The same, but for floats that differ from row to row and from column to column."""
    return {spec.name: _spread(spec, _made(spec, rows)) for spec in signature.inputs}


def request(signature: Signature, arrays: Mapping[str, Array]) -> dict[str, object]:
    """The arrays as an inference request that any client could send."""
    return {"inputs": tensors(signature.inputs, arrays)}


def tensors(specs: tuple[TensorSpec, ...], arrays: Mapping[str, Array]) -> list[dict[str, object]]:
    """As a request or an answer in JSON holds them; NaN and infinity are texts."""
    return [
        {
            "name": spec.name,
            "shape": list(arrays[spec.name].shape),
            "datatype": spec.datatype,
            "data": _listed(written(spec, arrays[spec.name], finite=False)),
        }
        for spec in specs
    ]


def _listed(data: object) -> object:
    return data.tolist() if isinstance(data, np.ndarray) else data


def _made(spec: TensorSpec, rows: int) -> Array:
    datatype = DATATYPES[spec.datatype]
    shape = [1 if size == DYNAMIC else size for size in spec.shape]
    if spec.shape and spec.shape[0] == DYNAMIC:
        shape[0] = rows
    if spec.datatype == "BF16":
        return bfloat.rounded(np.full(shape, 0.5, np.float32))  # type: ignore[no-any-return]
    value = {"bool": False, "int": 0, "float": 0.5, "bytes": "a"}[datatype.kind]
    return np.full(shape, value, dtype=np.dtype(datatype.numpy))


def _spread(spec: TensorSpec, array: Array) -> Array:
    if DATATYPES[spec.datatype].kind != "float":
        return array
    # A step that no row length divides, so that no two rows are alike.
    values = (np.arange(array.size) * 0.618034 % 1).reshape(array.shape).astype(np.float32)
    if spec.datatype == "BF16":
        return bfloat.rounded(values)  # type: ignore[no-any-return]
    return values.astype(array.dtype)
