"""Between JSON and arrays: every value is checked against the signature before a model sees it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain

import numpy as np
import numpy.typing as npt

from modelserver.errors import Invalid, shown
from wire.signature import DATATYPES, DYNAMIC, Datatype, TensorSpec

Array = npt.NDArray[np.generic]

_EXACT = 2**53  # floats up to here name one whole number each
_NUMPY: Mapping[str, np.dtype[np.generic]] = {
    name: np.dtype(d.numpy) for name, d in DATATYPES.items()
}
_SAID = {
    "bool": "true or false",
    "int": "whole numbers",
    "float": "numbers",
    "bytes": "texts",
}


def decode(spec: TensorSpec, tensor: Mapping[str, object]) -> Array:
    """The array for one input of a request: `datatype`, `shape` and `data` as the signature says.

    `data` is flat in row-major order or nested like the shape. Raises Invalid.
    """
    if tensor.get("datatype") != spec.datatype:
        given = shown(tensor.get("datatype"))
        raise _invalid(
            spec, "datatype", f"has the datatype {given}; the model takes {spec.datatype}"
        )
    shape = _shape(spec, tensor.get("shape"))
    flat = _flat(spec, shape, tensor.get("data"))
    return _array(spec, DATATYPES[spec.datatype], flat).reshape(shape)


def encode(spec: TensorSpec, array: Array) -> dict[str, object]:
    """One output of a response; `data` is flat. JSON lacks NaN and infinity: they become null."""
    return {
        "name": spec.name,
        "shape": list(array.shape),
        "datatype": spec.datatype,
        "data": np.ascontiguousarray(array).ravel()
        if array.dtype.kind in "biuf"
        else _texts(array),
    }


def _texts(array: Array) -> list[str]:
    return [
        v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v)
        for v in array.ravel().tolist()
    ]


def _invalid(spec: TensorSpec, what: str, problem: str) -> Invalid:
    return Invalid(f"input:{what}", f"Input {shown(spec.name)} {problem}.")


def _shape(spec: TensorSpec, given: object) -> tuple[int, ...]:
    if not isinstance(given, list) or set(map(type, given)) - {int}:
        raise _invalid(spec, "shape", "has a shape that is not a list of whole numbers")
    if len(given) != len(spec.shape):
        raise _misshapen(spec, given)
    for size, wanted in zip(given, spec.shape, strict=True):
        if size < 0 or wanted not in (size, DYNAMIC):
            raise _misshapen(spec, given)
    if 0 in given:
        raise _invalid(spec, "shape", "has no rows: there is nothing to predict")
    return tuple(given)


def _misshapen(spec: TensorSpec, given: list[int]) -> Invalid:
    return _invalid(
        spec, "shape", f"has the shape {shown(given)}; the model takes {list(spec.shape)}"
    )


def _flat(spec: TensorSpec, shape: tuple[int, ...], data: object) -> list[object]:
    if not isinstance(data, list):
        raise _invalid(spec, "data", "has no list as its `data`")
    if len(shape) > 1 and data and type(data[0]) is list:
        return _unnested(spec, shape, data)
    if len(data) != math.prod(shape):
        problem = (
            f"has {len(data)} values; its shape {shown(list(shape))} asks for {math.prod(shape)}"
        )
        raise _invalid(spec, "length", problem)
    return data


def _unnested(spec: TensorSpec, shape: tuple[int, ...], data: list[object]) -> list[object]:
    level: list[object] = [data]
    for width in shape:
        if set(map(type, level)) - {list} or set(map(len, level)) - {width}:  # type: ignore[arg-type]
            raise _invalid(
                spec, "length", f"is nested differently from its shape {shown(list(shape))}"
            )
        level = list(chain.from_iterable(level))  # type: ignore[arg-type]  # all are lists, just checked
    return level


def _array(spec: TensorSpec, datatype: Datatype, flat: list[object]) -> Array:
    types = set(map(type, flat))  # the exact types: to isinstance, true would be a number
    if datatype.kind == "float" and types <= {float, int}:
        return _floats(spec, datatype, flat)
    if datatype.kind == "int" and types <= {int, float}:
        return _integers(spec, datatype, flat, whole=float not in types)
    if (datatype.kind == "bool" and types == {bool}) or (
        datatype.kind == "bytes" and types == {str}
    ):
        return np.array(flat, dtype=_NUMPY[datatype.name])
    raise _invalid(spec, "data", f"must hold {_SAID[datatype.kind]} only, to be {datatype.name}")


def _floats(spec: TensorSpec, datatype: Datatype, flat: list[object]) -> Array:
    try:
        with np.errstate(over="ignore"):
            array = np.array(flat, dtype=_NUMPY[datatype.name])
    except OverflowError:
        array = np.array([np.inf])
    if not np.isfinite(array).all():
        raise _invalid(spec, "range", f"has a value that does not fit {datatype.name}")
    return array


def _integers(spec: TensorSpec, datatype: Datatype, flat: list[object], *, whole: bool) -> Array:
    numbers = flat if whole else [_whole(spec, value) for value in flat]
    if min(numbers) < datatype.low or max(numbers) > datatype.high:  # type: ignore[type-var,operator]
        raise _invalid(spec, "range", f"has a value that does not fit {datatype.name}")
    return np.array(numbers, dtype=_NUMPY[datatype.name])


def _whole(spec: TensorSpec, value: object) -> object:
    """JSON does not tell 1 from 1.0, and some clients write every number as a float."""
    if type(value) is not float:
        return value
    if not value.is_integer() or abs(value) > _EXACT:
        raise _invalid(spec, "data", f"must hold whole numbers only, to be {spec.datatype}")
    return int(value)
