"""BF16 without numpy's help: 32-bit floats that lost their lower half, kept as their 16 bits."""

from __future__ import annotations

from typing import Any

import numpy as np

_QUIET_NAN = np.uint16(0x7FC0)


def rounded(floats: Any) -> Any:
    """The nearest BF16 of each 32-bit float, ties to even; what is too large becomes infinity."""
    bits = np.ascontiguousarray(floats, np.float32).view(np.uint32)
    upper = bits >> np.uint32(16)
    nearest = ((bits + (upper & np.uint32(1)) + np.uint32(0x7FFF)) >> np.uint32(16)).astype(
        np.uint16
    )
    return np.where(np.isnan(floats), _QUIET_NAN, nearest)


def widened(bits: Any) -> Any:
    """The 32-bit floats of the same values."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
