"""The test models of the onnx wheel, with inputs and expected outputs.

The `node` ones are made by the wheel's own code, one or more for every operator. `light` are nine
known networks whose weights were taken out; the other folders hold files with their data.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.backend import test as onnx_test
from onnx.backend.test.runner import Runner

from deployments.adapters.onnx_check import IR_VERSIONS, OPSETS

DATA = Path(onnx_test.__file__).parent / "data"
FOLDERS = ("simple", "pytorch-operator", "pytorch-converted")


@dataclass(frozen=True)
class Case:
    """`runs` are pairs of inputs and expected outputs, each in the order of the model's."""

    name: str
    model: ModelProto
    runs: Sequence[tuple[Sequence[Any], Sequence[Any]]]
    rtol: float
    atol: float


@cache
def node() -> tuple[Case, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    return tuple(
        Case(
            case.name,
            _stamped(case.model),
            [([*map(_plain, given)], [*map(_plain, wanted)]) for given, wanted in case.data_sets],
            case.rtol,
            case.atol,
        )
        for case in found
    )


def light() -> Iterator[Case]:
    """The inputs are those from which the wheel's runner expects its outputs."""
    for path in sorted((DATA / "light").glob("*.onnx")):
        model = onnx.load(path)
        weights = {each.name for each in model.graph.initializer}
        given = [
            Runner.generate_dummy_data(each, seed=0, name=path.stem, random=False)
            for each in model.graph.input
            if each.name not in weights
        ]
        wanted = [_tensor(path.with_name(f"{path.stem}_output_0.pb"))]
        yield Case(path.stem, model, [(given, wanted)], 1e-3, 1e-7)


def files() -> Iterator[Case]:
    for folder in FOLDERS:
        for path in sorted((DATA / folder).glob("*/model.onnx")):
            model = onnx.load(path)
            runs = [
                ([*_values(data, "input")], [*_values(data, "output")])
                for data in sorted(path.parent.glob("test_data_set_*"))
            ]
            yield Case(path.parent.name, model, runs, 1e-3, 1e-7)


def _values(folder: Path, side: str) -> Iterator[Any]:
    for number in range(len([*folder.glob(f"{side}_*.pb")])):
        yield _tensor(folder / f"{side}_{number}.pb")


def _tensor(path: Path) -> Any:
    """None where it is no tensor: no such model is served."""
    try:
        return _plain(TensorProto.FromString(path.read_bytes()))
    except (DecodeError, TypeError, ValueError):
        return None


def _plain(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value


def _stamped(model: ModelProto) -> ModelProto:
    """Says the newest versions that can be served. What an operator has been given since, such as
    further datatypes, it then has not; what it gave before, it must still give."""
    newest = OPSETS["ai.onnx"][-1]
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx"):
            opset.version = min(opset.version, newest)
    for function in model.functions:
        for opset in function.opset_import:
            if opset.domain in ("", "ai.onnx"):
                opset.version = min(opset.version, newest)
    model.ir_version = min(model.ir_version, IR_VERSIONS[-1])
    return model
