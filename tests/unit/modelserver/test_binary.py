"""The binary tensor extension: what is read, what is answered, and everything that does not fit."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserver import binary
from modelserver.dataplane import DataPlane, Inference
from modelserver.errors import Invalid, Refused
from modelserver.tensors import TensorReader
from tests.unit.modelserver.asking import read
from tests.unit.modelserver.fakes import EVERY_KIND, TABLE, Adder, Echo, plane_for
from wire.signature import Signature, TensorSpec

ROWS = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "<f4")
X: dict[str, Any] = {
    "name": "X",
    "shape": [2, 3],
    "datatype": "FP32",
    "parameters": {"binary_data_size": 24},
}


def one(datatype: str, *shape: int) -> Signature:
    spec = TensorSpec("x", datatype, shape)
    return Signature((spec,), (TensorSpec("same_x", datatype, shape),))


def asked(plane: DataPlane, header: object, tail: bytes = b"") -> Inference:
    body = orjson.dumps(header)
    inference = plane.infer("tumour", None, body + tail, len(body))
    assert isinstance(inference, Inference)
    return inference


def raw(plane: DataPlane, body: bytes) -> dict[str, Any]:
    inference = plane.infer("tumour", None, body, 0)
    assert isinstance(inference, Inference)
    return read(inference)


def code(header: object, tail: bytes = b"", signature: Signature = TABLE) -> str:
    model = Adder() if signature is TABLE else Echo(signature)
    with pytest.raises(Invalid) as refusal:
        asked(plane_for(model), header, tail)
    assert refusal.value.message.endswith(".")
    return refusal.value.code


def sums(inference: Inference) -> list[float]:
    values: list[float] = read(inference)["sum"].tolist()
    return values


def test_bytes_after_the_json_are_the_inputs() -> None:
    inference = asked(plane_for(Adder()), {"inputs": [X]}, ROWS.tobytes())
    assert sums(inference) == [6.0, 15.0]
    assert inference.answer.json_length is None


def test_inputs_in_binary_follow_each_other_and_may_be_mixed_with_json() -> None:
    both = Signature(
        (
            TensorSpec("a", "INT8", (-1,)),
            TensorSpec("b", "FP64", (-1,)),
            TensorSpec("c", "BOOL", ()),
        ),
        (TensorSpec("same_a", "INT8", (-1,)), TensorSpec("same_c", "BOOL", ())),
    )
    inputs = [
        {"name": "c", "shape": [], "datatype": "BOOL", "parameters": {"binary_data_size": 1}},
        {"name": "b", "shape": [1], "datatype": "FP64", "data": [0.5]},
        {"name": "a", "shape": [1], "datatype": "INT8", "parameters": {"binary_data_size": 1}},
    ]
    model = Echo(both)
    answer = read(asked(plane_for(model), {"inputs": inputs}, b"\x01\xff"))
    assert (answer["same_a"].tolist(), answer["same_c"].tolist()) == ([-1], True)
    assert model.fed[0]["b"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("more", "in_binary"),
    [
        ({}, False),
        ({"parameters": {"binary_data_output": True}}, True),
        ({"parameters": {"binary_data_output": False}}, False),
        ({"outputs": [{"name": "sum", "parameters": {"binary_data": True}}]}, True),
        (
            {
                "outputs": [{"name": "sum", "parameters": {"binary_data": False}}],
                "parameters": {"binary_data_output": True},
            },
            False,
        ),
        ({"outputs": [{"name": "sum"}], "parameters": {"binary_data_output": True}}, True),
    ],
)
def test_an_answer_is_in_binary_where_the_request_says_so(
    more: dict[str, object], in_binary: bool
) -> None:
    tensor = {"name": "X", "shape": [2, 3], "datatype": "FP32", "data": ROWS.tolist()}
    body = orjson.dumps({"inputs": [tensor]} | more)
    inference = plane_for(Adder()).infer("tumour", None, body)
    assert isinstance(inference, Inference)
    header, parts, length = inference.answer
    (output,) = orjson.loads(header)["outputs"]
    assert (bool(parts), length is not None, "data" not in output) == (in_binary,) * 3
    assert sums(inference) == [6.0, 15.0]


def test_outputs_in_binary_and_json_can_be_mixed() -> None:
    outputs = [
        {"name": "same_bytes", "parameters": {"binary_data": True}},
        {"name": "same_int8"},
        {"name": "same_bool", "parameters": {"binary_data": True}},
    ]
    data = {"bool": [True, False], "bytes": ["a", "äö"]}
    inputs = [
        {
            "name": spec.name,
            "shape": [1, 2],
            "datatype": spec.datatype,
            "data": data.get(spec.name, [1, 2]),
        }
        for spec in EVERY_KIND.inputs
    ]
    inference = asked(plane_for(Echo()), {"inputs": inputs, "outputs": outputs})
    assert b"".join(inference.answer.parts) == (
        b"\x01\x00\x00\x00a\x04\x00\x00\x00" + "äö".encode() + b"\x01\x00"
    )
    assert [output["name"] for output in orjson.loads(inference.answer.header)["outputs"]] == [
        "same_bytes",
        "same_int8",
        "same_bool",
    ]
    assert read(inference)["same_int8"].tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("change", "tail", "expected"),
    [
        ({}, b"", "request:binary"),
        ({}, bytes(23), "request:binary"),
        ({}, bytes(25), "request:binary"),
        ({"parameters": {"binary_data_size": -1}}, b"", "request:binary"),
        ({"parameters": {"binary_data_size": True}}, b"\0", "request:binary"),
        ({"parameters": {"binary_data_size": "24"}}, bytes(24), "request:binary"),
        ({"parameters": {"binary_data_size": 24.0}}, bytes(24), "request:binary"),
        ({"parameters": {"binary_data_size": 2**62}}, bytes(24), "request:binary"),
        ({"parameters": {"binary_data_size": 20}}, bytes(20), "input:length"),
        ({"parameters": {"binary_data_size": 23}}, bytes(23), "input:length"),
        ({"parameters": None}, bytes(24), "input:data"),
        ({"data": [0.0] * 6}, bytes(24), "request:binary"),
        ({"shape": [3, 3]}, bytes(24), "input:length"),
        ({"shape": [2**31, 3]}, bytes(24), "input:length"),
        ({"datatype": "FP16"}, bytes(24), "input:datatype"),
        ({}, np.array([[0, 1, 2], [3, 4, np.nan]], "<f4").tobytes(), "input:nonfinite"),
        ({}, np.array([[0, 1, 2], [3, 4, -np.inf]], "<f4").tobytes(), "input:nonfinite"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    change: dict[str, object], tail: bytes, expected: str
) -> None:
    assert code({"inputs": [X | change]}, tail) == expected


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (b"", "input:length"),
        (b"\x01\x00\x00", "input:length"),
        (struct.pack("<I", 1) + b"a", "input:length"),
        (struct.pack("<I", 1) + b"a" + struct.pack("<I", 2) + b"b", "input:length"),
        (struct.pack("<I", 1) + b"a" + struct.pack("<I", 2**32 - 1) + b"b", "input:length"),
        (struct.pack("<II", 0, 0) + b"left", "input:length"),
        (struct.pack("<I", 1) + b"\xff" + struct.pack("<I", 0), "input:encoding"),
    ],
)
def test_texts_whose_lengths_do_not_add_up_are_refused(tail: bytes, expected: str) -> None:
    x = {"name": "x", "shape": [2], "datatype": "BYTES"}
    sized = x | {"parameters": {"binary_data_size": len(tail)}}
    assert code({"inputs": [sized]}, tail, one("BYTES", -1)) == expected


def test_a_shape_may_not_claim_more_texts_than_there_are_bytes() -> None:
    x = {"name": "x", "shape": [2**31], "datatype": "BYTES", "parameters": {"binary_data_size": 8}}
    assert code({"inputs": [x]}, bytes(8), one("BYTES", -1)) == "input:length"


def test_a_truth_value_is_a_byte_of_0_or_1() -> None:
    x = {"name": "x", "shape": [2], "datatype": "BOOL", "parameters": {"binary_data_size": 2}}
    assert code({"inputs": [x]}, b"\x01\x02", one("BOOL", -1)) == "input:data"


def test_a_header_length_counts_bytes_of_the_body() -> None:
    with pytest.raises(Invalid) as refusal:
        plane_for(Adder()).infer("tumour", None, b"{}", 3)
    assert refusal.value.code == "request:binary"


@pytest.mark.parametrize("parameter", ["binary_data_output", "binary_data"])
def test_what_decides_on_binary_is_true_or_false(parameter: str) -> None:
    of_output = {"outputs": [{"name": "sum", "parameters": {parameter: 1}}]}
    of_request = {"parameters": {parameter: "true"}}
    header = of_output if parameter == "binary_data" else of_request
    assert code({"inputs": [X]} | header, ROWS.tobytes()) == "request:parameters"


@pytest.mark.parametrize(
    "more",
    [
        {"parameters": {"sequence_id": 5}},
        {"outputs": [{"name": "sum", "parameters": {"classification": 2}}]},
        {"outputs": [{"name": "sum", "parameters": {"shared_memory_region": "r"}}]},
    ],
)
def test_what_triton_can_do_and_nobody_here_is_refused_and_not_ignored(
    more: dict[str, object],
) -> None:
    assert code({"inputs": [X]} | more, ROWS.tobytes()) == "request:parameters"


def test_an_array_is_a_view_of_the_body_where_its_place_allows_it() -> None:
    reader = TensorReader(TensorSpec("x", "FP32", (-1,)))
    body = memoryview(bytearray(np.arange(8, dtype="<f4").tobytes()))
    aligned = binary.decode(reader, (4,), body[4:20])
    assert np.shares_memory(aligned, np.frombuffer(body, np.uint8))
    shifted = binary.decode(reader, (4,), body[3:19])
    assert not np.shares_memory(shifted, np.frombuffer(body, np.uint8))
    assert shifted.flags.aligned
    answered = binary.encode(reader.spec, aligned)
    assert np.shares_memory(np.frombuffer(answered, np.uint8), aligned)


def test_a_part_of_an_array_is_written_as_what_it_shows() -> None:
    columns = np.arange(6, dtype="<f4").reshape(2, 3)[:, ::2]
    spec = TensorSpec("x", "FP32", (-1, 2))
    assert bytes(binary.encode(spec, columns)) == columns.tobytes()


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((-1,), 4, (4,)),
        ((-1, 2), 6, (3, 2)),
        ((-1, -1), 5, (1, 5)),
        ((2, -1), 6, (2, 3)),
        ((2, 3), 6, (2, 3)),
        ((-1, 2, -1), 6, (1, 2, 3)),
        ((), 1, ()),
    ],
)
def test_a_raw_request_is_one_tensor_whose_shape_follows_from_its_size(
    shape: tuple[int, ...], size: int, expected: tuple[int, ...]
) -> None:
    answer = raw(plane_for(Echo(one("INT16", *shape))), np.arange(size, dtype="<i2").tobytes())
    assert answer["same_x"].shape == expected
    assert answer["same_x"].ravel().tolist() == [*range(size)]


def test_a_raw_request_of_texts_is_one_text() -> None:
    for shape in ((-1,), (1,), (-1, -1), ()):
        answer = raw(plane_for(Echo(one("BYTES", *shape))), "grüß".encode())
        assert answer["same_x"].ravel().tolist() == ["grüß"]


@pytest.mark.parametrize(
    ("signature", "body", "expected"),
    [
        (EVERY_KIND, b"", "request:binary"),
        (one("INT16", -1, 2), bytes(5), "input:length"),
        (one("INT16", 2, 2), bytes(6), "input:length"),
        (one("INT16", 2, -1, -1), bytes(8), "input:shape"),
        (one("BYTES", 2), b"text", "input:shape"),
        (one("BYTES", 1), b"\xff", "input:encoding"),
        (one("FP32", 1), struct.pack("<f", float("nan")), "input:nonfinite"),
    ],
)
def test_a_raw_request_that_does_not_say_enough_is_refused(
    signature: Signature, body: bytes, expected: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        raw(plane_for(Echo(signature)), body)
    assert refusal.value.code == expected


@given(st.binary(max_size=80), st.none() | st.integers(0, 100))
def test_any_bytes_with_any_length_are_the_callers_fault(body: bytes, length: int | None) -> None:
    for signature in (TABLE, one("BYTES", -1), one("BOOL", -1, -1)):
        model = Adder() if signature is TABLE else Echo(signature)
        with contextlib.suppress(Refused):
            plane_for(model).infer("tumour", None, body, length)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "shape": st.lists(st.integers(-1, 4), max_size=3),
            "datatype": st.sampled_from(["FP32", "BYTES"]),
            "parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 40)}),
        },
    ),
    st.binary(max_size=40),
)
def test_any_sizes_are_refused_or_make_exactly_the_shape(
    change: dict[str, object], tail: bytes
) -> None:
    model = Adder()
    with contextlib.suppress(Refused):
        asked(plane_for(model), {"inputs": [X | change]}, tail)
    for fed in model.fed:
        assert list(fed["X"].shape) == (X | change)["shape"]
        assert fed["X"].tobytes() == tail
