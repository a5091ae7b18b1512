"""Every datatype through gRPC and back, bit for bit, raw and typed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from modelserver.pb import inference_pb2 as pb
from tests.contract.modelserver.grpc_harness import Served, served
from tests.unit.modelserver.fakes import Echo, Refusing, plane_for
from wire.signature import DATATYPES, DYNAMIC, Signature, TensorSpec

FIELDS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
WITHOUT_A_FIELD = ["FP16", "BF16"]
LARGEST_BF16 = 0x7F7F
ROUNDS = settings(max_examples=60, deadline=None)


def signature(*datatypes: str) -> Signature:
    """One input and one output of each, with two free dimensions."""
    free = (DYNAMIC, DYNAMIC)
    inputs = tuple(TensorSpec(name.lower(), name, free) for name in datatypes)
    outputs = tuple(TensorSpec(f"same_{name.lower()}", name, free) for name in datatypes)
    return Signature(inputs, outputs)


def test_every_datatype_has_a_field_or_is_known_to_have_none() -> None:
    assert {*FIELDS, *WITHOUT_A_FIELD} == DATATYPES.keys()


@contextmanager
def echoing(*datatypes: str) -> Iterator[Served]:
    empty = {f"same_{name.lower()}": (0, 2) for name in datatypes}
    plane = plane_for(Echo(signature(*datatypes)), pool=Refusing(), without_rows=empty)
    with served(plane) as it:
        yield it


@pytest.fixture(scope="module")
def everything() -> Iterator[Served]:
    with echoing(*DATATYPES) as it:
        yield it


@pytest.fixture(scope="module")
def with_fields() -> Iterator[Served]:
    with echoing(*FIELDS) as it:
        yield it


def tensors(datatype: str) -> st.SearchStrategy[Any]:
    """Of up to 3 × 3 values; finite where that is a question."""
    shape = st.tuples(st.integers(1, 3), st.integers(1, 3))
    if datatype == "BYTES":
        texts = st.text().map(str.encode)
        return arrays.arrays(np.dtype(object), shape, elements=texts)
    dtype = np.dtype(DATATYPES[datatype].numpy)
    if datatype == "BF16":  # its bits, either sign
        bits = st.integers(0, LARGEST_BF16) | st.integers(0x8000, 0x8000 + LARGEST_BF16)
        return arrays.arrays(dtype, shape, elements=bits)
    if dtype.kind == "f":
        finite = st.floats(width=8 * dtype.itemsize, allow_nan=False, allow_infinity=False)  # type: ignore[arg-type]
        return arrays.arrays(dtype, shape, elements=finite)
    return arrays.arrays(dtype, shape)


def each_of(*datatypes: str) -> st.SearchStrategy[dict[str, Any]]:
    every = [tensors(datatype) for datatype in datatypes]
    return st.tuples(*every).map(lambda drawn: dict(zip(datatypes, drawn, strict=True)))


def bits(array: Any) -> bytes:
    if array.dtype.kind == "O":
        return b"".join(len(v).to_bytes(4, "little") + v for v in array.ravel().tolist())
    return bytes(array.astype(array.dtype.newbyteorder("<")).tobytes())


def described(datatype: str, array: Any) -> dict[str, Any]:
    return {"name": datatype.lower(), "datatype": datatype, "shape": array.shape}


def expect_descriptions(answer: pb.ModelInferResponse, given_: dict[str, Any]) -> None:
    told = [(out.name, out.datatype, tuple(out.shape)) for out in answer.outputs]
    assert told == [(f"same_{name.lower()}", name, array.shape) for name, array in given_.items()]


@ROUNDS
@given(values=each_of(*DATATYPES))
def test_raw_tensors_come_back_as_they_went(everything: Served, values: dict[str, Any]) -> None:
    contents = [bits(array) for array in values.values()]
    answer = everything.ask(
        "ModelInfer",
        model_name="tumour",
        inputs=[described(name, array) for name, array in values.items()],
        raw_input_contents=contents,
    )
    expect_descriptions(answer, values)
    assert list(answer.raw_output_contents) == contents


@ROUNDS
@given(values=each_of(*FIELDS))
def test_typed_tensors_come_back_as_they_went(with_fields: Served, values: dict[str, Any]) -> None:
    inputs = [
        described(name, array) | {"contents": {FIELDS[name]: array.ravel().tolist()}}
        for name, array in values.items()
    ]
    answer = with_fields.ask("ModelInfer", model_name="tumour", inputs=inputs)
    expect_descriptions(answer, values)
    for output, (name, array) in zip(answer.outputs, values.items(), strict=True):
        found = list(getattr(output.contents, FIELDS[name]))
        assert bits(np.array(found, dtype=array.dtype)) == bits(array.ravel()), name


@pytest.mark.parametrize("raw", [True, False])
def test_no_rows_are_answered_with_no_rows(
    everything: Served, with_fields: Served, raw: bool
) -> None:
    nothing = {name: np.empty((0, 2)) for name in (DATATYPES if raw else FIELDS)}
    answer = (everything if raw else with_fields).ask(
        "ModelInfer",
        model_name="tumour",
        inputs=[described(name, array) for name, array in nothing.items()],
        raw_input_contents=[b""] * len(nothing) if raw else [],
    )
    expect_descriptions(answer, nothing)
    assert set(answer.raw_output_contents) == ({b""} if raw else set())
    assert all(not output.contents.ListFields() for output in answer.outputs)
