"""What is refused before a model sees it, and what a model gets to see."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import orjson
import pytest

from modelserver import sample
from modelserver.errors import Invalid
from modelserver.requests import InferenceRequest, RequestReader, Symbols
from modelserver.tensors import TensorReader
from tests.unit.modelserver.fakes import EVERY_KIND, TABLE, table, tensor
from wire.signature import DATATYPES, Signature, TensorSpec

ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def parse(
    body: bytes, signature: Signature = TABLE, symbols: Symbols | None = None, **more: Any
) -> InferenceRequest:
    return RequestReader(signature, symbols or {}, **more).parse(body)


def code(request: object, signature: Signature = TABLE, **symbols: tuple[str | None, ...]) -> str:
    body = request if isinstance(request, bytes) else orjson.dumps(request)
    with pytest.raises(Invalid) as refusal:
        parse(body, signature, symbols)
    assert refusal.value.message.endswith(".")
    return refusal.value.code


def one(datatype: str, data: list[object]) -> Any:
    return TensorReader(TensorSpec("x", datatype, (-1,))).values((len(data),), data)


@pytest.mark.parametrize("data", [ROWS, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1, 2, 3, 4, 5, 6]])
def test_nested_and_flat_data_mean_the_same(data: list[object]) -> None:
    request = {"inputs": [tensor("X", "FP32", [2, 3], data)]}
    parsed = parse(orjson.dumps(request), TABLE, {})
    assert parsed.feeds["X"].dtype == np.float32
    assert parsed.feeds["X"].tolist() == ROWS
    assert parsed.rows == 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"datatype": "FP64"}, "input:datatype"),
        ({"datatype": None}, "input:datatype"),
        ({"shape": [2, 4]}, "input:shape"),
        ({"shape": [6]}, "input:shape"),
        ({"shape": [-1, 3]}, "input:shape"),
        ({"shape": [2.0, 3]}, "input:shape"),
        ({"shape": [True, 3]}, "input:shape"),
        ({"shape": "2x3"}, "input:shape"),
        ({"shape": [0, 3]}, "input:length"),
        ({"shape": [3, 3]}, "input:length"),
        ({"data": [1.0] * 5}, "input:length"),
        ({"data": []}, "input:length"),
        ({"data": [[1.0, 2.0, 3.0]]}, "input:length"),
        ({"data": [[1.0, 2.0, 3.0], [4.0, 5.0]]}, "input:length"),
        ({"data": [[1.0, 2.0, 3.0], 4.0]}, "input:length"),
        ({"data": [[[1.0], [2.0], [3.0]]] * 2}, "input:data"),
        ({"data": None}, "input:data"),
        ({"data": "1 2 3 4 5 6"}, "input:data"),
        ({"data": [1.0, 2.0, 3.0, 4.0, 5.0, "6.0"]}, "input:data"),
        ({"data": [1.0, 2.0, 3.0, 4.0, 5.0, "NaN"]}, "input:nonfinite"),
        ({"data": [1.0, 2.0, 3.0, 4.0, 5.0, None]}, "input:nonfinite"),
        ({"data": [1.0, 2.0, 3.0, 4.0, 5.0, True]}, "input:data"),
        ({"data": [1.0, 2.0, 3.0, 4.0, 5.0, 1e39]}, "input:range"),
        ({"parameters": {"binary_data_size": 24}}, "request:binary"),
        ({"parameters": 5}, "request:parameters"),
        ({"name": "Y"}, "input:unknown"),
        ({"name": 5}, "request:inputs"),
    ],
)
def test_a_tensor_that_is_not_as_the_signature_says_is_refused(
    change: dict[str, object], expected: str
) -> None:
    assert code({"inputs": [tensor("X", "FP32", [2, 3], ROWS) | change]}) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "request:not-json"),
        (b"{", "request:not-json"),
        (b'{"inputs": [NaN]}', "request:not-json"),
        (b'"\xff"', "request:not-json"),
        (b"[" * 100_000, "request:not-json"),
        (b"[]", "request:not-an-object"),
        (b"{}", "request:inputs"),
        (b'{"inputs": {}}', "request:inputs"),
        (b'{"inputs": []}', "input:missing"),
        (b'{"inputs": [5]}', "request:inputs"),
    ],
)
def test_a_body_that_is_no_request_is_refused(body: bytes, expected: str) -> None:
    assert code(body) == expected


def test_missing_unknown_and_repeated_inputs_are_refused() -> None:
    x = tensor("X", "FP32", [2, 3], ROWS)
    assert code({"inputs": [x, x]}) == "request:inputs"
    assert code({"inputs": [x, x | {"name": "Y"}]}) == "input:unknown"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"id": 5}, "request:id"),
        ({"id": "x" * 257}, "request:id"),
        ({"outputs": "sum"}, "request:outputs"),
        ({"outputs": [{"name": "other"}]}, "output:unknown"),
        ({"outputs": [{"name": "sum"}, {"name": "sum"}]}, "request:outputs"),
        ({"parameters": []}, "request:parameters"),
        ({"parameters": {"subject": 5}}, "request:parameters"),
        ({"parameters": {"group.sex": ""}}, "request:parameters"),
    ],
)
def test_the_rest_of_a_request_is_checked_too(more: dict[str, object], expected: str) -> None:
    assert code(table(ROWS, **more)) == expected


def test_reserved_parameters_are_kept_from_the_model() -> None:
    parameters = {"subject": "s-1", "purpose": "care", "group.sex": "f", "temperature": 1}
    parsed = parse(orjson.dumps(table(ROWS, parameters=parameters)), TABLE, {})
    assert parsed.remarks == {"subject": "s-1", "purpose": "care", "group.sex": "f"}
    assert set(parsed.feeds) == {"X"}


def test_keys_of_other_servers_and_nulls_are_ignored() -> None:
    request = table(ROWS, id=None, parameters=None, outputs=None, priority=3)
    parsed = parse(orjson.dumps(request), TABLE, {})
    assert parsed.outputs == TABLE.outputs
    assert len(parsed.id) == 32


def test_inputs_that_share_a_dimension_must_agree_on_it() -> None:
    both = Signature(
        (TensorSpec("a", "FP32", (-1,)), TensorSpec("b", "FP32", (-1,))), TABLE.outputs
    )
    request = {"inputs": [tensor("a", "FP32", [1], [0.0]), tensor("b", "FP32", [2], [0.0, 0.0])]}
    assert code(request, both, a=("N",), b=("N",)) == "input:shape"
    assert set(parse(orjson.dumps(request), both, {"a": ("N",), "b": (None,)}).feeds) == {"a", "b"}


@pytest.mark.parametrize("datatype", [d.name for d in DATATYPES.values() if d.kind == "int"])
def test_integers_keep_their_range(datatype: str) -> None:
    kind = DATATYPES[datatype]
    assert one(datatype, [kind.low, kind.high]).tolist() == [kind.low, kind.high]
    for outside in (kind.low - 1, kind.high + 1):
        with pytest.raises(Invalid) as refusal:
            one(datatype, [outside])
        assert refusal.value.code == "input:range"


def test_a_whole_number_may_be_written_as_a_float() -> None:
    assert one("INT8", [1.0, 2]).tolist() == [1, 2]
    for given_ in (1.5, float(2**60), True, "1", math.inf):
        with pytest.raises(Invalid):
            one("INT64", [given_])


@pytest.mark.parametrize(
    ("largest", "datatype"), [(65504.0, "FP16"), (3.4e38, "FP32"), (1.7e308, "FP64")]
)
def test_floats_keep_their_range(largest: float, datatype: str) -> None:
    assert np.isfinite(one(datatype, [largest, -largest])).all()
    for outside in (int(largest) * 11 // 10, 10**400):
        with pytest.raises(Invalid) as refusal:
            one(datatype, [outside])
        assert refusal.value.code == "input:range"


def test_only_true_and_false_are_booleans() -> None:
    assert one("BOOL", [True, False]).tolist() == [True, False]
    for given_ in (0, 1, "true", None):
        with pytest.raises(Invalid):
            one("BOOL", [given_])


def test_texts_stay_texts() -> None:
    assert one("BYTES", ["", "ä", "NaN"]).tolist() == ["", "ä", "NaN"]
    assert one("BYTES", [b"", "ä".encode()]).tolist() == ["", "ä"]
    with pytest.raises(Invalid) as refusal:
        one("BYTES", [b"\xff"])
    assert refusal.value.code == "input:encoding"
    with pytest.raises(Invalid):
        one("BYTES", ["text", b"bytes"])


@pytest.mark.parametrize("rows", [1, 4])
def test_a_made_up_input_fits_the_signature_it_was_made_from(rows: int) -> None:
    request = sample.request(EVERY_KIND, sample.feeds(EVERY_KIND, rows))
    parsed = parse(orjson.dumps(request), EVERY_KIND, {})
    assert parsed.rows == rows
    assert {name: str(array.dtype) for name, array in parsed.feeds.items()} == {
        spec.name: DATATYPES[spec.datatype].numpy for spec in EVERY_KIND.inputs
    }
