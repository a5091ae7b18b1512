"""Every datatype goes in and comes out unchanged, as JSON and in binary, in any mixture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelserver.errors import Invalid, ModelFailed
from tests.unit.modelserver.asking import KINDS, ask
from tests.unit.modelserver.fakes import EVERY_KIND, Echo, plane_for
from wire.signature import DATATYPES, DYNAMIC, Signature, TensorSpec

NAMES = [*DATATYPES]
WAYS = st.tuples(st.booleans(), st.booleans())
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def signature(*datatypes: str, rank: int = 2) -> Signature:
    shape = (DYNAMIC,) * rank
    return Signature(
        tuple(TensorSpec(name.lower(), name, shape) for name in datatypes),
        tuple(TensorSpec(f"same_{name.lower()}", name, shape) for name in datatypes),
    )


def arrays(datatype: str, shape: Any, *, nonfinite: bool = False) -> st.SearchStrategy[Any]:
    if datatype == "BYTES":
        return hnp.arrays(object, shape, elements=TEXTS)
    dtype = KINDS[datatype]
    if datatype == "BF16":
        finite = hnp.arrays(np.float32, shape, elements=_floats(32, nonfinite, largest=3.3e38))
        return finite.map(lambda array: array.astype(dtype))
    if dtype.kind == "f":
        return hnp.arrays(dtype, shape, elements=_floats(dtype.itemsize * 8, nonfinite))
    return hnp.arrays(dtype, shape)


def _floats(width: Any, nonfinite: bool, largest: float | None = None) -> st.SearchStrategy[float]:
    if nonfinite:
        return st.floats(width=width)
    bound = None if largest is None else float(np.float32(largest))
    low = None if bound is None else -bound
    return st.floats(low, bound, width=width, allow_nan=False, allow_infinity=False)


def same(left: Any, right: Any) -> bool:
    """Bit for bit, but for the many bit patterns of NaN."""
    if left.shape != right.shape:
        return False
    if left.dtype == object:
        return bool(left.tolist() == right.tolist())
    if KINDS["BF16"] in (left.dtype, right.dtype):
        left, right = left.astype(np.float32), right.astype(np.float32)
    if left.dtype.kind != "f":
        return bool(left.dtype == right.dtype and (left == right).all())
    signs = (np.signbit(left) == np.signbit(right)) | np.isnan(left)
    return bool(np.array_equal(left, right, equal_nan=True) and signs.all())


shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=5)


@pytest.mark.parametrize("datatype", NAMES)
@given(st.data(), WAYS)
@settings(print_blob=True)
def test_every_datatype_comes_back_as_it_was_sent(
    datatype: str, data: st.DataObject, ways: tuple[bool, bool]
) -> None:
    array = data.draw(arrays(datatype, data.draw(shapes)))
    plane = plane_for(Echo(signature(datatype)), name="model", version="1")
    answer = ask(plane, {datatype.lower(): array}, in_binary=ways[0], answer_in_binary=ways[1])
    assert same(answer[f"same_{datatype.lower()}"], array)


@given(st.data(), WAYS)
@settings(print_blob=True)
def test_all_datatypes_come_back_together(data: st.DataObject, ways: tuple[bool, bool]) -> None:
    rows = data.draw(st.integers(1, 3))
    sent = {name.lower(): data.draw(arrays(name, (rows, 2))) for name in NAMES}
    plane = plane_for(Echo(EVERY_KIND), name="model", version="1")
    answer = ask(plane, sent, in_binary=ways[0], answer_in_binary=ways[1])
    assert all(same(answer[f"same_{name}"], array) for name, array in sent.items())


@pytest.mark.parametrize("datatype", ["FP16", "BF16", "FP32", "FP64"])
@given(st.data(), WAYS)
@settings(print_blob=True)
def test_nan_and_infinity_come_back_where_they_are_allowed_and_else_go_nowhere(
    datatype: str, data: st.DataObject, ways: tuple[bool, bool]
) -> None:
    array = data.draw(arrays(datatype, data.draw(shapes), nonfinite=True))
    model, sent = Echo(signature(datatype)), {datatype.lower(): array}
    allowing = plane_for(model, name="model", version="1", allow_nonfinite=True)
    answer = ask(allowing, sent, in_binary=ways[0], answer_in_binary=ways[1])
    assert same(answer[f"same_{datatype.lower()}"], array)
    minding = plane_for(model, name="model", version="1")
    if np.isfinite(array.astype(np.float64)).all():
        ask(minding, sent, in_binary=ways[0], answer_in_binary=ways[1])
    else:
        with pytest.raises(Invalid):
            ask(minding, sent, in_binary=ways[0], answer_in_binary=ways[1])


@pytest.mark.parametrize("datatype", NAMES)
@pytest.mark.parametrize("in_binary", [False, True])
def test_a_single_value_has_no_dimension(datatype: str, in_binary: bool) -> None:
    value = {"bool": True, "int": 1, "float": 0.5, "bytes": "ä"}[DATATYPES[datatype].kind]
    array = np.array(value, KINDS.get(datatype, object))
    plane = plane_for(Echo(signature(datatype, rank=0)), name="model", version="1")
    answer = ask(plane, {datatype.lower(): array}, in_binary=in_binary, answer_in_binary=in_binary)
    assert same(answer[f"same_{datatype.lower()}"], array)


@pytest.mark.parametrize("datatype", NAMES)
@pytest.mark.parametrize("in_binary", [False, True])
def test_no_rows_are_answered_with_no_rows_and_without_a_run(
    datatype: str, in_binary: bool
) -> None:
    model = Echo(signature(datatype))
    output = f"same_{datatype.lower()}"
    plane = plane_for(model, name="model", version="1", without_rows={output: (0, 3)})
    array = np.empty((0, 3), KINDS.get(datatype, object))
    answer = ask(plane, {datatype.lower(): array}, in_binary=in_binary, answer_in_binary=in_binary)
    assert (answer[output].shape, model.fed) == ((0, 3), [])


def test_a_model_that_answers_nan_where_that_is_not_allowed_has_failed() -> None:
    class Fails(Echo):
        def run(self, feeds: Any, outputs: Any) -> Any:
            return [np.array([[math.nan]], np.float32)]

    plane = plane_for(Fails(signature("FP32")), name="model", version="1")
    with pytest.raises(ModelFailed) as failure:
        ask(plane, {"fp32": np.ones((1, 1))}, in_binary=False, answer_in_binary=False)
    assert failure.value.code == "output:nonfinite"
