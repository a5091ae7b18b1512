"""Files that people upload: good ones, wrong ones and hostile ones. Made here, never stored."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

FLOAT = TensorProto.FLOAT


def model(
    nodes: Sequence[onnx.NodeProto],
    *,
    outputs: Sequence[onnx.ValueInfoProto] | None = None,
    initializers: Sequence[TensorProto] = (),
    functions: Sequence[onnx.FunctionProto] = (),
    opsets: dict[str, int] | None = None,
    ir_version: int = 10,
) -> onnx.ModelProto:
    """A model from `x`, rows of three numbers, to `y`."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("x", FLOAT, ["rows", 3])],
        list(outputs or [helper.make_tensor_value_info("y", FLOAT, [None, None])]),
        list(initializers),
    )
    imports = [helper.make_opsetid(*each) for each in (opsets or {"": 21}).items()]
    return helper.make_model(
        graph, opset_imports=imports, ir_version=ir_version, functions=list(functions)
    )


def node(kind: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, ["x"], ["y"], **attributes)


def good() -> bytes:
    return model([node("Relu")]).SerializeToString()


def a_pickle() -> bytes:
    return pickle.dumps({"model": [1, 2, 3]})


def an_old_pickle() -> bytes:
    return pickle.dumps({"model": [1, 2, 3]}, protocol=0)


def a_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model.onnx", good())
    return file.getvalue()


def a_tar(mode: str = "w") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        entry = tarfile.TarInfo("model.onnx")
        entry.size = len(good())
        archive.addfile(entry, io.BytesIO(good()))
    return bytes(file.getvalue())


def truncated() -> bytes:
    return good()[:-20]


def cut_after_the_version() -> bytes:
    return good()[:2]


def noise() -> bytes:
    return np.random.default_rng(7).bytes(4096)


def text() -> bytes:
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 12345\n"


def graph_of_nonsense() -> bytes:
    """A right outline around bytes that are no graph."""
    return b"\x08\x0a" + b"\x3a\x08" + b"\xff" * 8


def sequence_of_maps() -> bytes:
    """What skl2onnx makes of a classifier unless told otherwise; from ONNX Runtime's examples."""
    folder = Path(onnxruntime.__file__).parent / "datasets"
    return (folder / "logreg_iris.onnx").read_bytes()


def a_sequence() -> bytes:
    output = helper.make_tensor_sequence_value_info("y", FLOAT, None)
    return model([node("SplitToSequence")], outputs=[output]).SerializeToString()


def external_data(location: str = "../../secrets/signing") -> bytes:
    weight = TensorProto(name="w", data_type=FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    entry = weight.external_data.add()
    entry.key, entry.value = "location", location
    adding = helper.make_node("Add", ["x", "w"], ["y"])
    return model([adding], initializers=[weight]).SerializeToString()


def external_data_in_a_branch() -> bytes:
    """The same, hidden in a constant of a subgraph of a function."""
    value = TensorProto(data_type=FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    entry = value.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    constant = helper.make_node("Constant", [], ["c"], value=value)
    return model([_branch(constant)]).SerializeToString()


def _branch(inner: onnx.NodeProto) -> onnx.NodeProto:
    branch = helper.make_graph(
        [inner], "branch", [], [helper.make_tensor_value_info(inner.output[0], FLOAT, None)]
    )
    return helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)


def foreign_operator() -> bytes:
    foreign = node("Gelu", domain="com.microsoft")
    return model([foreign], opsets={"": 21, "com.microsoft": 1}).SerializeToString()


def foreign_operator_in_a_branch() -> bytes:
    inner = helper.make_node("Thing", ["x"], ["b"], domain="example.thing")
    return model([_branch(inner)], opsets={"": 21, "example.thing": 1}).SerializeToString()


def foreign_operator_in_a_function() -> bytes:
    inner = helper.make_node("Thing", ["a"], ["b"], domain="example.thing")
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("example.thing", 1)]
    function = helper.make_function("ai.onnx.ml", "Wrap", ["a"], ["b"], [inner], imports)
    calling = node("Wrap", domain="ai.onnx.ml")
    return model(
        [calling], functions=[function], opsets={"": 21, "ai.onnx.ml": 3}
    ).SerializeToString()


def future_opset() -> bytes:
    return model([node("Relu")], opsets={"": 999}).SerializeToString()


def future_ir() -> bytes:
    return model([node("Relu")], ir_version=99).SerializeToString()


def unknown_operator() -> bytes:
    return model([node("NoSuchOperator")]).SerializeToString()


def wrong_types() -> bytes:
    """Formally a graph, but its output's type is not what its node makes."""
    output = helper.make_tensor_value_info("y", TensorProto.INT64, ["rows", 3])
    return model([node("Relu")], outputs=[output]).SerializeToString()


def needs_100_gigabytes() -> bytes:
    """A small file that asks for 25 billion numbers when it runs."""
    size = helper.make_tensor("size", TensorProto.INT64, [1], [25_000_000_000])
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["huge"]),
        helper.make_node("ReduceSum", ["huge"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    return model(nodes, initializers=[size]).SerializeToString()


def takes_for_ever() -> bytes:
    """A loop of 2**40 rounds."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["going_on"]),
            helper.make_node("Relu", ["value"], ["value_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("going_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value_out", FLOAT, None),
        ],
    )
    rounds = helper.make_tensor("rounds", TensorProto.INT64, [], [2**40])
    always = helper.make_tensor("always", TensorProto.BOOL, [], [True])
    looping = helper.make_node("Loop", ["rounds", "always", "x"], ["y"], body=body)
    return model([looping], initializers=[rounds, always]).SerializeToString()


def answers_nan() -> bytes:
    not_a_number = helper.make_tensor("nan", FLOAT, [1], [float("nan")])
    adding = helper.make_node("Add", ["x", "nan"], ["y"])
    return model([adding], initializers=[not_a_number]).SerializeToString()


def fails_when_run() -> bytes:
    """Loads, but its own constants do not fit one row."""
    five = helper.make_tensor("five", TensorProto.INT64, [2], [7, 5])
    shaping = helper.make_node("Reshape", ["x", "five"], ["y"])
    return model([shaping], initializers=[five]).SerializeToString()


def named_with_a_nul() -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x\x00"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x\x00", FLOAT, [None, 3])],
        [helper.make_tensor_value_info("y", FLOAT, [None, 3])],
    )
    imports = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10).SerializeToString()


def produced_by_a_nul() -> bytes:
    made = model([node("Relu")])
    made.producer_name = "a\x00b"
    made.opset_import.append(helper.make_opsetid("un\x00used", 1))
    return made.SerializeToString()


def no_input() -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["y"], value_float=1.0)],
        "graph",
        [],
        [helper.make_tensor_value_info("y", FLOAT, [])],
    )
    imports = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10).SerializeToString()


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "an empty file": (bytes, "artifact:empty"),
    "a pickle": (a_pickle, "artifact:pickle"),
    "an old pickle": (an_old_pickle, "artifact:not-onnx"),
    "a zip archive": (a_zip, "artifact:archive"),
    "a tar archive": (a_tar, "artifact:archive"),
    "a compressed tar archive": (lambda: a_tar("w:gz"), "artifact:archive"),
    "a truncated file": (truncated, "artifact:truncated"),
    "a file cut after its version": (cut_after_the_version, "artifact:truncated"),
    "noise": (noise, "artifact:not-onnx"),
    "a text file": (text, "artifact:not-onnx"),
    "a graph of nonsense": (graph_of_nonsense, "artifact:not-onnx"),
    "outputs that are sequences of maps": (sequence_of_maps, "model:unsupported-output"),
    "an output that is a sequence": (a_sequence, "model:unsupported-output"),
    "external data": (external_data, "model:external-data"),
    "external data in a branch": (external_data_in_a_branch, "model:external-data"),
    "a foreign operator": (foreign_operator, "model:foreign-operator"),
    "a foreign operator in a branch": (foreign_operator_in_a_branch, "model:foreign-operator"),
    "a foreign operator in a function": (foreign_operator_in_a_function, "model:foreign-operator"),
    "an operator set of the future": (future_opset, "model:unsupported-opset"),
    "a format of the future": (future_ir, "model:unsupported-ir-version"),
    "an operator that does not exist": (unknown_operator, "model:invalid"),
    "an output of the wrong type": (wrong_types, "model:invalid"),
    "an input that no database can name": (named_with_a_nul, "model:unsupported-signature"),
    "no input": (no_input, "model:unsupported-input"),
    "a graph that needs 100 GB": (needs_100_gigabytes, "model:needs-too-much-memory"),
    "a model that fails on one row": (fails_when_run, "model:run-failed"),
}
