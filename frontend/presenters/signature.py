"""A model's inputs and outputs, one line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def tensors(signature: Mapping[str, Any]) -> dict[str, list[str]]:
    """`X FP32 [any, 30]`; a size of -1 is any."""
    return {
        side: [
            f"{tensor['name']} {tensor['datatype']} [{', '.join(map(_size, tensor['shape']))}]"
            for tensor in signature.get(side, [])
        ]
        for side in ("inputs", "outputs")
    }


def _size(size: int) -> str:
    return "any" if size == -1 else str(size)
