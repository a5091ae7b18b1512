"""Inputs made up from a signature alone: for the run at intake and the warm-up of a replica."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modelserver.tensors import Array, encode
from wire.signature import DATATYPES, DYNAMIC, Signature, TensorSpec


def feeds(signature: Signature, rows: int = 1) -> dict[str, Array]:
    """One array per input; a free first dimension gets `rows`, every other free one a single place.

    Whole numbers are zero, because they are often positions in a table of unknown length.
    """
    return {spec.name: _made(spec, rows) for spec in signature.inputs}


def takes_batches(signature: Signature) -> bool:
    """Whether every input leaves its first dimension free, and so promises any number of rows."""
    return all(spec.shape and spec.shape[0] == DYNAMIC for spec in signature.inputs)


def request(signature: Signature, arrays: Mapping[str, Array]) -> dict[str, object]:
    """The arrays as an inference request that any client could send."""
    tensors = []
    for spec in signature.inputs:
        tensor = encode(spec, arrays[spec.name])
        tensors.append(tensor | {"data": np.asarray(tensor["data"]).tolist()})
    return {"inputs": tensors}


def _made(spec: TensorSpec, rows: int) -> Array:
    datatype = DATATYPES[spec.datatype]
    shape = [1 if size == DYNAMIC else size for size in spec.shape]
    if spec.shape and spec.shape[0] == DYNAMIC:
        shape[0] = rows
    value = {"bool": False, "int": 0, "float": 0.5, "bytes": "a"}[datatype.kind]
    return np.full(shape, value, dtype=np.dtype(datatype.numpy))
