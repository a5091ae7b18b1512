"""The few facts about an ONNX file that ONNX Runtime does not tell, read from the protobuf.

Only the outermost fields of ModelProto and the node count of its graph are looked at, so that the
model server needs neither the onnx package nor its generated classes. Field numbers are those of
onnx.proto: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_IR_VERSION, _PRODUCER, _GRAPH, _OPSETS = 1, 2, 7, 8
_DOMAIN, _VERSION = 1, 2
_NODE, _INPUT, _OUTPUT = 1, 11, 12
_NAME, _TYPE = 1, 2
_TENSOR, _SHAPE = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Facts:
    """`opsets` maps an operator domain to its version; the empty domain is ONNX's own."""

    ir_version: int
    producer: str
    opsets: dict[str, int]
    nodes: int


def read(blob: bytes) -> Facts:
    """Raises ValueError when the bytes are no protobuf message."""
    ir_version, producer, nodes = 0, "", 0
    opsets: dict[str, int] = {}
    for number, value in _fields(memoryview(blob)):
        if number == _IR_VERSION and isinstance(value, int):
            ir_version = value
        elif number == _PRODUCER and isinstance(value, memoryview):
            producer = bytes(value).decode("utf-8", "replace")
        elif number == _GRAPH and isinstance(value, memoryview):
            nodes += sum(1 for field, _ in _fields(value) if field == _NODE)
        elif number == _OPSETS and isinstance(value, memoryview):
            domain, version = _opset(value)
            opsets[domain] = version
    return Facts(ir_version, producer, opsets, nodes)


def shapeless(blob: bytes) -> frozenset[str]:
    """The inputs and outputs that say nothing of their shape, which is not the same as an empty
    one. Raises ValueError when the bytes are no protobuf message."""
    return frozenset(
        name
        for number, graph in _fields(memoryview(blob))
        if number == _GRAPH and isinstance(graph, memoryview)
        for side, value in _fields(graph)
        if side in (_INPUT, _OUTPUT) and isinstance(value, memoryview)
        for name in _shapeless_name(value)
    )


def _shapeless_name(value_info: memoryview) -> Iterator[str]:
    """Its name, unless a field shape is found where it belongs."""
    name = ""
    for number, value in _fields(value_info):
        if number == _NAME and isinstance(value, memoryview):
            name = bytes(value).decode("utf-8", "replace")
        elif number == _TYPE and isinstance(value, memoryview) and _has_shape(value):
            return
    yield name


def _has_shape(type_: memoryview) -> bool:
    return any(
        number == _SHAPE
        for kind, tensor in _fields(type_)
        if kind == _TENSOR and isinstance(tensor, memoryview)
        for number, _ in _fields(tensor)
    )


def _opset(message: memoryview) -> tuple[str, int]:
    domain, version = "", 0
    for number, value in _fields(message):
        if number == _DOMAIN and isinstance(value, memoryview):
            domain = bytes(value).decode("utf-8", "replace")
        elif number == _VERSION and isinstance(value, int):
            version = value
    return domain, version


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers with their values: integers for varints, unparsed bytes for everything else."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"no protobuf field has the kind {kind}")
        if at + size > len(message):
            raise ValueError("the message ends in the middle of a field")
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
    raise ValueError("the message ends in the middle of a number")
