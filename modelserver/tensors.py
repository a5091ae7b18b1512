"""Between values as clients write them and arrays: every one is checked before a model sees it."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from types import NoneType

import numpy as np
import numpy.typing as npt

from modelserver import bfloat
from modelserver.errors import Invalid, shown
from modelserver.nonfinite import NAMES, NAN, all_finite
from wire.signature import DATATYPES, DYNAMIC, TensorSpec

Array = npt.NDArray[np.generic]

# What a tensor without values may claim of its other dimensions, which no byte bears out.
MAX_EMPTY = 2**20

_EXACT = 2**53  # floats up to here name one whole number each
# Letters of the struct module. It packs a list twice as fast as numpy, and it minds the range.
_LETTERS = dict(zip((name for name in DATATYPES if name != "BYTES"), "?bhiqBHIQeffd", strict=True))
_SAID = {
    "bool": "true or false",
    "int": "whole numbers",
    "float": "numbers",
    "bytes": "texts",
}
_NONFINITE: Mapping[object, float] = {name: value for value, name in NAMES.items()} | {
    None: math.nan,
    NAN: math.nan,
}


class TensorReader:
    """Reads one input of a model. Everything it refuses, it refuses with Invalid."""

    def __init__(self, spec: TensorSpec, *, allow_nonfinite: bool = False) -> None:
        datatype = DATATYPES[spec.datatype]
        self.spec = spec
        self.dtype = np.dtype(datatype.numpy)
        self.kind = datatype.kind
        self.allow_nonfinite = allow_nonfinite
        self._letter = _LETTERS.get(spec.datatype, "")
        # Packing refuses everything but numbers that fit, save that it takes truth values for them.
        self._packs_simply = self.kind in ("int", "float") and spec.datatype != "BF16"
        self._packed = np.dtype(np.float32) if spec.datatype == "BF16" else self.dtype

    def shape(self, datatype: object, shape: object) -> tuple[int, ...]:
        """The shape, if it and the datatype are what the signature says."""
        spec = self.spec
        if datatype != spec.datatype:
            problem = f"has the datatype {shown(datatype)}; the model takes {spec.datatype}"
            raise self.invalid("datatype", problem)
        if type(shape) is not list or len(shape) != len(spec.shape):
            raise self._misshapen(shape)
        for size, wanted in zip(shape, spec.shape, strict=True):
            if type(size) is not int or size < 0 or (size != wanted and wanted != DYNAMIC):
                raise self._misshapen(shape)
        if 0 in shape:
            self._check_empty(shape)
        return tuple(shape)

    def values(self, shape: tuple[int, ...], data: object, *, simple: bool = False) -> Array:
        """The array of a list of values: flat in row-major order, or nested like the shape.

        `simple`: it is known to come from JSON in which neither true nor false is written.
        """
        if type(data) is not list:
            raise self.invalid("data", "has no list as its `data`")
        flat: list[object] = data
        if len(shape) > 1 and data and type(data[0]) is list:
            flat = self._unnested(shape, data)
        elif len(data) != math.prod(shape):
            asked = math.prod(shape)
            problem = f"has {len(data)} values; its shape {shown(list(shape))} asks for {asked}"
            raise self.invalid("length", problem)
        if simple and self._packs_simply:
            try:
                packed = _packer(self._letter, len(flat)).pack(*flat)
            except (struct.error, OverflowError):
                pass  # whatever it is, it has a name below
            else:
                return np.frombuffer(packed, self.dtype).reshape(shape)
        return self._array(flat).reshape(shape)

    def invalid(self, what: str, problem: str) -> Invalid:
        return Invalid(f"input:{what}", f"Input {shown(self.spec.name)} {problem}.")

    def nonfinite(self) -> Invalid:
        return self.invalid(
            "nonfinite", "has NaN (or null) or infinity, which this version does not take"
        )

    def _check_empty(self, shape: list[int]) -> None:
        """Only the first of the free dimensions may be 0: some of ONNX Runtime's operators divide
        by sizes, and a division by zero ends the process."""
        free = [size for size, wanted in zip(shape, self.spec.shape, strict=True) if wanted < 0]
        if 0 in (free[1:] if self.spec.shape[0] == DYNAMIC else free):
            problem = f"has the shape {shown(shape)}: only the number of rows may be 0"
            raise self.invalid("empty", problem)
        if math.prod(size or 1 for size in shape) > MAX_EMPTY:
            problem = f"has the shape {shown(shape)}, which is large for a tensor without values"
            raise self.invalid("empty", problem)

    def _misshapen(self, given: object) -> Invalid:
        if not isinstance(given, list) or set(map(type, given)) - {int}:
            return self.invalid("shape", "has a shape that is not a list of whole numbers")
        wanted = list(self.spec.shape)
        return self.invalid("shape", f"has the shape {shown(given)}; the model takes {wanted}")

    def _unnested(self, shape: tuple[int, ...], data: list[object]) -> list[object]:
        level: list[object] = [data]
        for width in shape:
            if set(map(type, level)) - {list} or set(map(len, level)) - {width}:  # type: ignore[arg-type]
                problem = f"is nested differently from its shape {shown(list(shape))}"
                raise self.invalid("length", problem)
            level = list(chain.from_iterable(level))  # type: ignore[arg-type]  # all are lists, just checked
        return level

    def _array(self, flat: Sequence[object]) -> Array:
        types = set(map(type, flat))  # the exact types: to isinstance, true would be a number
        if self.kind == "float":
            if types <= {float, int}:
                return self._floats(flat)
            if types <= {float, int, str, NoneType}:
                numbers = [self._named(value) for value in flat]
                if not self.allow_nonfinite:
                    raise self.nonfinite()
                return self._floats(numbers)
        elif self.kind == "int":
            if types <= {int}:
                return self._pack(flat)
            if types <= {int, float}:
                return self._pack([self._whole(value) for value in flat])
        elif self.kind == "bool":
            if types <= {bool}:
                return self._pack(flat)
        elif types <= {str}:
            return np.array(flat, dtype=object)
        elif types <= {bytes}:
            return np.array([self.text(value) for value in flat], dtype=object)  # type: ignore[arg-type]
        problem = f"must hold {_SAID[self.kind]} only, to be {self.spec.datatype}"
        raise self.invalid("data", problem)

    def text(self, value: bytes) -> str:
        """ONNX Runtime's Python interface takes texts, not bytes."""
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise self.invalid("encoding", "has bytes that are not UTF-8") from None

    def _floats(self, flat: Sequence[object]) -> Array:
        array = self._pack(flat)
        if not self.allow_nonfinite and not all_finite("FP32", array):
            raise self.nonfinite()
        if self.spec.datatype == "BF16":
            rounded: Array = bfloat.rounded(array)
            if not all_finite("BF16", rounded) and all_finite("FP32", array):
                raise self._out_of_range()
            return rounded
        return array

    def _pack(self, flat: Sequence[object]) -> Array:
        try:
            packed = _packer(self._letter, len(flat)).pack(*flat)
        except (struct.error, OverflowError):
            raise self._out_of_range() from None
        return np.frombuffer(packed, self._packed)

    def _out_of_range(self) -> Invalid:
        return self.invalid("range", f"has a value that does not fit {self.spec.datatype}")

    def _named(self, value: object) -> object:
        if type(value) is float or type(value) is int:
            return value
        number = _NONFINITE.get(value)
        if number is None:
            raise self.invalid("data", f"must hold numbers only, to be {self.spec.datatype}")
        return number

    def _whole(self, value: object) -> object:
        """JSON does not tell 1 from 1.0, and some clients write every number as a float."""
        if type(value) is not float:
            return value
        if not value.is_integer() or abs(value) > _EXACT:
            raise self.invalid("data", f"must hold whole numbers only, to be {self.spec.datatype}")
        return int(value)


@lru_cache(maxsize=1024)
def _packer(letter: str, count: int) -> struct.Struct:
    return struct.Struct(f"<{count}{letter}")


def written(spec: TensorSpec, array: Array, *, finite: bool = True) -> object:
    """What goes into an answer's `data`, for orjson with OPT_SERIALIZE_NUMPY: flat, row-major.

    JSON lacks NaN and infinity: unless `finite`, they are looked for and written as texts.
    """
    flat = array.ravel()
    if spec.datatype == "BYTES":
        return flat.tolist()
    if spec.datatype == "BF16":
        flat = bfloat.widened(flat)
    if finite or DATATYPES[spec.datatype].kind != "float" or np.isfinite(flat).all():
        return flat
    return [value if math.isfinite(value) else NAMES.get(value, NAN) for value in flat.tolist()]
