from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserver.dataplane import DataPlane, Identity, Inference, Serving
from modelserver.errors import Busy, Invalid, ModelFailed, NotFound, NotReady, Refused
from tests.unit.modelserver.fakes import (
    EVERY_KIND,
    TABLE,
    Adder,
    Echo,
    Refusing,
    one_thread,
    plane_for,
    table,
    tensor,
    until,
)

ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def asked(plane: DataPlane, request: object, version: str | None = None) -> Inference:
    return asyncio.run(inferred(plane, request, version))


async def inferred(plane: DataPlane, request: object, version: str | None = None) -> Inference:
    promised = plane.infer("tumour", version, orjson.dumps(request))
    return promised if isinstance(promised, Inference) else await promised


def said(inference: Inference) -> Any:
    return orjson.loads(inference.answer.header)


def test_an_answer_names_model_version_and_request() -> None:
    inference = asked(plane_for(Adder()), table(ROWS, id="alice-1"), "7")
    assert said(inference) == {
        "model_name": "tumour",
        "model_version": "7",
        "id": "alice-1",
        "outputs": [tensor("sum", "FP32", [2], [6.0, 15.0])],
    }
    assert inference.rows == 2


def test_requests_without_an_id_get_one_each() -> None:
    plane = plane_for(Adder())
    assert said(asked(plane, table(ROWS)))["id"] != said(asked(plane, table(ROWS)))["id"]


def test_only_the_outputs_asked_for_are_answered_in_that_order() -> None:
    inputs = [
        tensor(
            spec.name,
            spec.datatype,
            [1, 2],
            {"bool": [True] * 2, "bytes": ["a"] * 2}.get(spec.name, [1, 2]),
        )
        for spec in EVERY_KIND.inputs
    ]
    names = ["same_fp32", "same_bytes", "same_bool"]
    request = {"inputs": inputs, "outputs": [{"name": name} for name in names]}
    inference = asked(plane_for(Echo()), request)
    assert [output["name"] for output in said(inference)["outputs"]] == names


@pytest.mark.parametrize(
    ("name", "version"), [("other", None), ("tumour", "8"), ("tumour", "07"), ("", "7")]
)
def test_another_model_or_version_is_not_found(name: str, version: str | None) -> None:
    plane = plane_for(Adder())
    with pytest.raises(NotFound):
        plane.admit(name, version)
    with pytest.raises(NotFound):
        plane.model_metadata(name, version)


def test_before_the_model_is_loaded_it_is_live_but_not_ready() -> None:
    plane = DataPlane(Identity("tumour", "7", TABLE))
    assert plane.live()
    assert "loading" in plane.not_ready_because()
    with pytest.raises(NotReady) as refusal:
        asked(plane, table(ROWS))
    assert refusal.value.retry_after >= 1
    assert plane.model_metadata("tumour", None)["inputs"] == TABLE.to_json()["inputs"]


def test_while_draining_it_is_not_ready_and_still_answers() -> None:
    plane = plane_for(Adder())
    assert not plane.not_ready_because()
    plane.drain()
    assert plane.not_ready_because()
    assert asked(plane, table(ROWS)).rows == 2


def test_a_model_that_loads_after_the_stop_does_not_make_it_ready() -> None:
    plane = DataPlane(Identity("tumour", "7", TABLE))
    plane.drain()
    plane.serve(Serving(Adder(), Refusing(), queue_limit=4, loop_values=100))
    assert plane.not_ready_because()


def test_a_fast_model_runs_on_the_loop_and_a_large_request_to_it_does_not() -> None:
    assert asked(plane_for(Adder(), loop_values=6), table(ROWS)).rows == 2
    with pytest.raises(AssertionError, match="belongs on the event loop"):
        asked(plane_for(Adder(), loop_values=5), table(ROWS))
    with one_thread() as pool:
        plane = plane_for(Adder(), loop_values=6, pool=pool)
        assert asked(plane, table(ROWS)).queue_seconds < 0.001
        assert asked(plane, table(ROWS * 2)).rows == 4


async def test_a_slow_model_leaves_the_loop_free_and_refuses_what_would_wait_too_long() -> None:
    model = Adder()
    model.may_go_on.clear()
    with one_thread() as pool:
        plane = plane_for(model, loop_values=0, pool=pool, queue_limit=2)
        waiting = [asyncio.create_task(inferred(plane, table(ROWS))) for _ in range(2)]
        await until(lambda: len(model.fed) == 1)
        with pytest.raises(Busy):
            await inferred(plane, table(ROWS))
        model.may_go_on.set()
        assert [inference.rows for inference in await asyncio.gather(*waiting)] == [2, 2]
        assert (await inferred(plane, table(ROWS))).rows == 2


def test_a_failing_model_is_not_the_callers_fault_and_its_words_stay_inside() -> None:
    model = Adder()
    model.fails = True
    with pytest.raises(ModelFailed) as failure:
        asked(plane_for(model), table(ROWS))
    assert "secret" not in failure.value.message


def test_a_refused_request_never_reaches_the_model() -> None:
    model = Adder()
    with pytest.raises(Invalid):
        asked(plane_for(model), table([[1.0, 2.0]]))
    assert model.fed == []


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
near_tensors = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from([spec.name for spec in EVERY_KIND.inputs]) | json_values,
        "datatype": st.sampled_from([spec.datatype for spec in EVERY_KIND.inputs]) | json_values,
        "shape": st.lists(st.integers(-1, 3), max_size=3) | json_values,
        "data": st.lists(json_values, max_size=4) | json_values,
        "parameters": json_values,
    },
)
near_requests = st.fixed_dictionaries(
    {},
    optional={
        "id": json_values,
        "inputs": st.lists(near_tensors, max_size=3) | json_values,
        "outputs": json_values,
        "parameters": json_values,
    },
)


@given(near_requests)
def test_no_request_however_odd_is_our_fault(request: dict[str, object]) -> None:
    with contextlib.suppress(Refused):
        asked(plane_for(Echo()), request)


@given(st.sampled_from(EVERY_KIND.inputs), st.lists(json_values, min_size=2, max_size=2))
def test_any_two_values_are_either_refused_or_become_the_datatype(
    spec: Any, data: list[object]
) -> None:
    request = {"inputs": [tensor(spec.name, spec.datatype, [1, 2], data)]}
    model = Echo(
        type(EVERY_KIND)((spec,), (type(spec)(f"same_{spec.name}", spec.datatype, (-1, 2)),))
    )
    try:
        asked(plane_for(model), request)
    except Invalid:
        assert model.fed == []
    else:
        assert model.fed[0][spec.name].shape == (1, 2)
