"""Between the protocol's messages and what the data plane takes and gives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelserver import binary
from modelserver.dataplane import DataPlane
from modelserver.errors import Invalid, shown
from modelserver.pb import inference_pb2 as pb
from modelserver.requests import Given, InferenceRequest
from modelserver.tensors import Array
from wire.signature import DATATYPES, MAX_TENSORS

# The field of InferTensorContents that holds a datatype, and the type that its values have there.
_FIELDS: Mapping[str, tuple[str, str]] = {
    "BOOL": ("bool_contents", "bool"),
    "INT8": ("int_contents", "<i4"),
    "INT16": ("int_contents", "<i4"),
    "INT32": ("int_contents", "<i4"),
    "INT64": ("int64_contents", "<i8"),
    "UINT8": ("uint_contents", "<u4"),
    "UINT16": ("uint_contents", "<u4"),
    "UINT32": ("uint_contents", "<u4"),
    "UINT64": ("uint64_contents", "<u8"),
    "FP32": ("fp32_contents", "<f4"),
    "FP64": ("fp64_contents", "<f8"),
    "BYTES": ("bytes_contents", "object"),
}
_ONLY_RAW = DATATYPES.keys() - _FIELDS.keys()


def request(plane: DataPlane, asked: pb.ModelInferRequest) -> InferenceRequest:
    """The checked request. Raises Invalid, NotFound and NotReady."""
    name, version = asked.model_name, asked.model_version or None
    plane.admit(name, version)  # before the tensors cost anything
    if max(len(asked.inputs), len(asked.outputs)) > MAX_TENSORS:
        raise Invalid("request:inputs", f"There are more than {MAX_TENSORS} inputs or outputs.")
    return plane.request(
        name,
        version,
        _inputs(asked),
        outputs=[output.name for output in asked.outputs],
        parameters={key: _value(value) for key, value in asked.parameters.items()},
        id=asked.id,
    )


def response(
    plane: DataPlane, request: InferenceRequest, arrays: Sequence[Array], *, raw: bool
) -> pb.ModelInferResponse:
    """The arrays are in the order of `request.outputs`. They come raw, all of them, if `raw` or if
    there is one that has no other form."""
    answer = pb.ModelInferResponse(
        model_name=plane.identity.name, model_version=plane.identity.version, id=request.id
    )
    raw = raw or any(spec.datatype in _ONLY_RAW for spec in request.outputs)
    for spec, array in zip(request.outputs, arrays, strict=True):
        tensor = answer.outputs.add(name=spec.name, datatype=spec.datatype, shape=array.shape)
        if raw:
            answer.raw_output_contents.append(bytes(binary.encode(spec, array)))
        else:
            field, _ = _FIELDS[spec.datatype]
            getattr(tensor.contents, field).extend(_values(array))
    return answer


def model_metadata(told: Mapping[str, Any]) -> pb.ModelMetadataResponse:
    return pb.ModelMetadataResponse(**told)


def server_metadata(told: Mapping[str, Any]) -> pb.ServerMetadataResponse:
    return pb.ServerMetadataResponse(**told)


def _value(parameter: pb.InferParameter) -> object:
    choice = parameter.WhichOneof("parameter_choice")
    return getattr(parameter, choice) if choice else None


def _inputs(asked: pb.ModelInferRequest) -> list[Given]:
    raw = asked.raw_input_contents
    if not raw:
        return [_typed(tensor) for tensor in asked.inputs]
    if len(raw) != len(asked.inputs):
        problem = f"There are {len(raw)} `raw_input_contents` for {len(asked.inputs)} `inputs`."
        raise Invalid("request:raw-contents", problem)
    both = [tensor.name for tensor in asked.inputs if tensor.contents.ByteSize()]
    if both:
        problem = f"Input {shown(both[0])} has `contents` although there are `raw_input_contents`."
        raise Invalid("request:raw-contents", problem)
    return [
        Given(tensor.name, tensor.datatype, list(tensor.shape), content)
        for tensor, content in zip(asked.inputs, raw, strict=True)
    ]


def _typed(tensor: pb.ModelInferRequest.InferInputTensor) -> Given:
    field = _field_of(tensor)
    values = getattr(tensor.contents, field) if field else ()
    data = _lengthened(tensor, values) if tensor.datatype == "BYTES" else _packed(tensor, values)
    return Given(tensor.name, tensor.datatype, list(tensor.shape), data)


def _field_of(tensor: pb.ModelInferRequest.InferInputTensor) -> str | None:
    """The one field that holds values, checked; None without any, which zero dimensions have."""
    filled = [field.name for field, _ in tensor.contents.ListFields()]
    if not filled or tensor.datatype not in DATATYPES:
        return None
    if tensor.datatype in _ONLY_RAW:
        problem = f"Input {shown(tensor.name)} is {tensor.datatype}, which is always sent raw."
        raise Invalid("input:contents", problem)
    wanted, _ = _FIELDS[tensor.datatype]
    if filled != [wanted]:
        problem = (
            f"Input {shown(tensor.name)} is {tensor.datatype}: its values belong in `{wanted}`."
        )
        raise Invalid("input:contents", problem)
    return wanted


def _packed(tensor: pb.ModelInferRequest.InferInputTensor, values: Any) -> bytes:
    """The values as a binary tensor holds them. Narrow integers travel in wider fields."""
    datatype = DATATYPES.get(tensor.datatype)
    if datatype is None:
        return b""
    _require_length(tensor, values)
    if not len(values):
        return b""
    array = np.array(values, dtype=_FIELDS[datatype.name][1])
    if datatype.kind == "int" and (array.min() < datatype.low or array.max() > datatype.high):
        problem = f"Input {shown(tensor.name)} has a value that does not fit {datatype.name}."
        raise Invalid("input:range", problem)
    return array.astype(np.dtype(datatype.numpy).newbyteorder("<"), copy=False).tobytes()


def _lengthened(tensor: pb.ModelInferRequest.InferInputTensor, values: Sequence[bytes]) -> bytes:
    _require_length(tensor, values)
    packed = bytearray()
    for value in values:
        packed += len(value).to_bytes(4, "little")
        packed += value
    return bytes(packed)


def _require_length(tensor: pb.ModelInferRequest.InferInputTensor, values: Sequence[Any]) -> None:
    """Before a copy is made of what may be very many."""
    asked = math.prod(tensor.shape)
    if len(values) != asked:
        shape = shown(list(tensor.shape))
        problem = f"has {len(values)} values; its shape {shape} asks for {asked}"
        raise Invalid("input:length", f"Input {shown(tensor.name)} {problem}.")


def _values(array: Array) -> list[Any]:
    flat = array.ravel().tolist()
    if array.dtype.kind in "biuf":
        return flat
    return [value if isinstance(value, bytes) else str(value).encode() for value in flat]
