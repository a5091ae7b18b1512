"""A small client of the data plane, written from the protocol and not from the server's code."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import ml_dtypes
import numpy as np

from modelserver.dataplane import DataPlane, Identity, Inference, Serving
from modelserver.model import OnnxModel
from wire.signature import TensorSpec

KINDS = {
    "BOOL": np.dtype(bool),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "FP16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
_NAMED = {math.inf: "Infinity", -math.inf: "-Infinity"}


class NoPool(Executor):
    def submit(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("everything runs at once here")


def plane_of(model: OnnxModel, **more: Any) -> DataPlane:
    """Runs whatever it is asked at once; NaN and infinity go in and come out."""
    plane = DataPlane(Identity("model", "1", model.signature))
    settings: dict[str, Any] = {"queue_limit": 1, "loop_values": 2**40, "allow_nonfinite": True}
    plane.serve(Serving(model, NoPool(), **settings | more))
    return plane


def ask(
    plane: DataPlane, arrays: Mapping[str, Any], *, in_binary: bool, answer_in_binary: bool
) -> dict[str, Any]:
    """The outputs by name, as arrays of the datatype that the answer names."""
    specs = plane.identity.signature.inputs
    inputs = [_tensor(spec, np.asarray(arrays[spec.name])) for spec in specs]
    tail = b""
    if in_binary:
        parts = [packed(spec, np.asarray(arrays[spec.name])) for spec in specs]
        for tensor, part in zip(inputs, parts, strict=True):
            del tensor["data"]
            tensor["parameters"] = {"binary_data_size": len(part)}
        tail = b"".join(parts)
    body: dict[str, Any] = {"inputs": inputs}
    if answer_in_binary:
        body["parameters"] = {"binary_data_output": True}
    header = json.dumps(body, allow_nan=False).encode()
    inference = plane.infer("model", "1", header + tail, len(header) if in_binary else None)
    assert isinstance(inference, Inference)
    return read(inference)


def read(inference: Inference) -> dict[str, Any]:
    """An answer's outputs as arrays."""
    header, parts, json_length = inference.answer
    assert json_length == (len(header) if parts else None)
    raw = b"".join(parts)
    answer = json.loads(header, parse_constant=_no_literals)
    found = {}
    for output in answer["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            array = _listed(output["datatype"], output["data"])
        else:
            assert "data" not in output
            array, raw = unpacked(output["datatype"], raw[:size]), raw[size:]
        found[output["name"]] = array.reshape(output["shape"])
    assert raw == b""
    return found


def packed(spec: TensorSpec, array: Any) -> bytes:
    if spec.datatype == "BYTES":
        return b"".join(struct.pack("<I", len(text)) + text for text in map(_bytes, array.flat))
    return np.ascontiguousarray(array, KINDS[spec.datatype]).tobytes()


def unpacked(datatype: str, raw: bytes) -> Any:
    if datatype != "BYTES":
        return np.frombuffer(raw, KINDS[datatype])
    return np.array([*_texts(raw)], dtype=object)


def _texts(raw: bytes) -> Iterator[str]:
    at = 0
    while at < len(raw):
        (size,) = struct.unpack_from("<I", raw, at)
        yield raw[at + 4 : at + 4 + size].decode()
        at += 4 + size
    assert at == len(raw)


def _tensor(spec: TensorSpec, array: Any) -> dict[str, Any]:
    shape = list(array.shape)
    return {"name": spec.name, "shape": shape, "datatype": spec.datatype, "data": _plain(array)}


def _plain(array: Any) -> list[Any]:
    if array.dtype == KINDS["BF16"]:
        array = array.astype(np.float32)
    if array.dtype.kind != "f":
        return (
            [_bytes(text).decode() for text in array.flat]
            if array.dtype.kind in "OSU"
            else [*array.ravel().tolist()]
        )
    return [v if math.isfinite(v) else _NAMED.get(v, "NaN") for v in array.ravel().tolist()]


def _listed(datatype: str, data: Sequence[Any]) -> Any:
    if datatype == "BYTES":
        return np.array(data, dtype=object)
    if KINDS[datatype].kind not in "fV":
        assert not any(isinstance(value, float) for value in data)
        return np.array(data, KINDS[datatype])
    return np.array([float(value) for value in data]).astype(KINDS[datatype])


def _bytes(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode()


def _no_literals(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")
