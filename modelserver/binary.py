"""Between the bytes of a binary tensor and arrays: little-endian, row-major, without gaps.

Each value of BYTES is preceded by its length, four bytes; a BOOL is one byte, 0 or 1. The extension
and its header field: docs/reference/inference.md.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterator

import numpy as np

from modelserver.errors import Invalid
from modelserver.nonfinite import all_finite
from modelserver.tensors import Array, TensorReader
from wire.signature import DYNAMIC, TensorSpec

Buffer = bytes | memoryview

_LENGTH = struct.Struct("<I")
_SWAPPED = sys.byteorder == "big"


def decode(reader: TensorReader, shape: tuple[int, ...], raw: Buffer) -> Array:
    """The array of an input: a view of `raw` where its place in memory allows. Raises Invalid."""
    if reader.kind == "bytes":
        return _texts(reader, shape, raw)
    asked = math.prod(shape) * reader.dtype.itemsize
    if len(raw) != asked:
        problem = f"has {len(raw)} bytes; its shape {list(shape)} asks for {asked}"
        raise reader.invalid("length", problem)
    if reader.kind == "bool":
        array = _flags(reader, raw)
    else:
        array = np.frombuffer(raw, reader.dtype.newbyteorder("<") if _SWAPPED else reader.dtype)
        if _SWAPPED or not array.flags.aligned:
            array = array.astype(reader.dtype)
        minds = reader.kind == "float" and not reader.allow_nonfinite
        if minds and not all_finite(reader.spec.datatype, array):
            raise reader.nonfinite()
    return array.reshape(shape)


def encode(spec: TensorSpec, array: Array) -> Buffer:
    """All values of an output; a view of the array's own memory where that is possible."""
    if spec.datatype == "BYTES":
        return b"".join(_prefixed(array))
    if _SWAPPED:
        array = array.astype(array.dtype.newbyteorder("<"))
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def raw_shape(reader: TensorReader, raw: Buffer) -> tuple[int, ...]:
    """The shape of a tensor that came with no word about it: the signature says it, but for one
    free dimension at most, which the number of bytes says. Where more are free, the first is one
    row. Raises Invalid.
    """
    shape = list(reader.spec.shape)
    if shape.count(DYNAMIC) > 1 and shape[0] == DYNAMIC:
        shape[0] = 1
    if shape.count(DYNAMIC) > 1:
        problem = "has several dimensions of any size, so a raw request cannot say its shape"
        raise reader.invalid("shape", problem)
    if DYNAMIC not in shape:
        return tuple(shape)
    free = shape.index(DYNAMIC)
    shape[free] = 1
    row = math.prod(shape) * reader.dtype.itemsize
    if reader.kind != "bytes" and row:
        shape[free] = len(raw) // row
    return tuple(shape)


def raw_text(reader: TensorReader, raw: Buffer) -> Array:
    """A raw request's only value of BYTES: the whole body, without a length before it."""
    shape = raw_shape(reader, raw)
    if math.prod(shape) != 1:
        raise reader.invalid("shape", "has more than one value, which a raw request cannot tell")
    return reader.values((1,), [bytes(raw)]).reshape(shape)


def _flags(reader: TensorReader, raw: Buffer) -> Array:
    numbers = np.frombuffer(raw, np.uint8)
    if len(raw) and numbers.max() > 1:
        raise reader.invalid("data", "must hold bytes of 0 or 1 only, to be BOOL")
    return numbers.view(np.bool_)


def _texts(reader: TensorReader, shape: tuple[int, ...], raw: Buffer) -> Array:
    asked = math.prod(shape)
    if asked * _LENGTH.size > len(raw):  # before as many places are made as a shape may claim
        raise _cut_off(reader)
    texts = np.empty(asked, dtype=object)
    at = 0
    for number in range(asked):
        start = at + _LENGTH.size
        if start > len(raw):
            raise _cut_off(reader)
        at = start + _LENGTH.unpack_from(raw, start - _LENGTH.size)[0]
        if at > len(raw):
            raise _cut_off(reader)
        texts[number] = reader.text(bytes(raw[start:at]))
    if at != len(raw):
        raise reader.invalid("length", f"has {len(raw) - at} bytes after its last value")
    return texts.reshape(shape)


def _cut_off(reader: TensorReader) -> Invalid:
    return reader.invalid("length", "ends in the middle of a value")


def _prefixed(array: Array) -> Iterator[bytes]:
    for text in array.ravel().tolist():
        value = text.encode() if isinstance(text, str) else bytes(text)
        yield _LENGTH.pack(len(value))
        yield value
