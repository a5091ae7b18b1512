"""An answer as bytes: one JSON object and, where asked for, tensors in binary after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from modelserver.requests import InferenceRequest
from modelserver.tensors import Array, encode


class Encoded(NamedTuple):
    """`header` is JSON; `parts` are the binary tensors that follow it, in the order of the outputs.

    `json_length` is the value of the header field `Inference-Header-Content-Length`; None means
    that there is no such field, and nothing but JSON.
    """

    header: bytes
    parts: Sequence[bytes | memoryview] = ()
    json_length: int | None = None


def compose(name: str, version: str, request: InferenceRequest, arrays: Sequence[Array]) -> Encoded:
    """The arrays are in the order of `request.outputs`."""
    outputs = [encode(spec, array) for spec, array in zip(request.outputs, arrays, strict=True)]
    answer = {"model_name": name, "model_version": version, "id": request.id, "outputs": outputs}
    return Encoded(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY))
