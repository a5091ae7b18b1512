"""An answer as bytes: one JSON object and, where asked for, tensors in binary after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from modelserver import binary
from modelserver.requests import InferenceRequest
from modelserver.tensors import Array, written


class Encoded(NamedTuple):
    """`header` is JSON; `parts` are the binary tensors that follow it, in the order of the outputs.

    `json_length` is the value of the header field `Inference-Header-Content-Length`; None means
    that there is no such field, and nothing but JSON.
    """

    header: bytes
    parts: Sequence[bytes | memoryview] = ()
    json_length: int | None = None


class AnswerWriter:
    """Writes what one version of a model said. `finite`: nothing it says is NaN or infinite."""

    def __init__(self, name: str, version: str, *, finite: bool = True) -> None:
        self._name = name
        self._version = version
        self._finite = finite

    def write(self, request: InferenceRequest, arrays: Sequence[Array]) -> Encoded:
        """The arrays are in the order of `request.outputs`."""
        if True in request.binary:
            return self._in_binary(request, arrays)
        finite = self._finite
        outputs = [
            {
                "name": spec.name,
                "shape": array.shape,
                "datatype": spec.datatype,
                "data": written(spec, array, finite=finite),
            }
            for spec, array in zip(request.outputs, arrays, strict=True)
        ]
        return Encoded(self._json(request, outputs))

    def _in_binary(self, request: InferenceRequest, arrays: Sequence[Array]) -> Encoded:
        outputs: list[dict[str, object]] = []
        parts: list[bytes | memoryview] = []
        for spec, array, as_bytes in zip(request.outputs, arrays, request.binary, strict=True):
            output = {"name": spec.name, "shape": array.shape, "datatype": spec.datatype}
            if as_bytes:
                part = binary.encode(spec, array)
                parts.append(part)
                outputs.append(output | {"parameters": {"binary_data_size": len(part)}})
            else:
                outputs.append(output | {"data": written(spec, array, finite=self._finite)})
        header = self._json(request, outputs)
        return Encoded(header, parts, len(header))

    def _json(self, request: InferenceRequest, outputs: Sequence[object]) -> bytes:
        answer = {
            "model_name": self._name,
            "model_version": self._version,
            "id": request.id,
            "outputs": outputs,
        }
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
