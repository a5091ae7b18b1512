"""Between the bytes of a binary tensor and arrays: little-endian, row-major, without gaps.

Each value of BYTES is preceded by its length, four bytes; a BOOL is one byte, 0 or 1.
"""

from __future__ import annotations

import numpy as np

from modelserver.tensors import Array
from wire.signature import TensorSpec


def encode(spec: TensorSpec, array: Array) -> bytes | memoryview:
    """All values of an output; a view of the array's own memory where that is possible."""
    if spec.datatype == "BYTES":
        raise NotImplementedError
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
