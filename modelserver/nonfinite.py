"""NaN and infinity: finding them fast, and what they are called where only texts are left."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

# As JSON of protocol buffers writes them. NaN equals nothing, so it is no key to look it up by.
NAMES: Mapping[float, str] = {math.inf: "Infinity", -math.inf: "-Infinity"}
NAN = "NaN"

_FEW = 64
# All bits of the exponent set: infinity or NaN. Arithmetic on 16-bit floats is slow, on bits not.
_EXPONENT = {"FP16": np.uint16(0x7C00), "BF16": np.uint16(0x7F80)}


def all_finite(datatype: str, array: Any) -> bool:
    """Whether an array of one of the float datatypes has neither NaN nor infinity."""
    exponent = _EXPONENT.get(datatype)
    if exponent is not None:
        return not ((array.view(np.uint16) & exponent) == exponent).any()
    # Half the price of asking numpy. A finite sum has finite terms; a sum of finite terms is
    # infinite only where they are enormous, and then numpy is asked.
    if array.size <= _FEW and math.isfinite(sum(array.ravel().tolist())):
        return True
    return bool(np.isfinite(array).all())
