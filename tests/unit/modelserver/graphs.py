"""Small ONNX files, each with one property that matters to intake or to a replica."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
)

FLOAT = TensorProto.FLOAT
Shape = Sequence[int | str | None]


def tensor(name: str, kind: int = FLOAT, shape: Shape = ("N", 2)) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    constants: Sequence[TensorProto] = (),
    opset: int = 18,
) -> bytes:
    graph: GraphProto = helper.make_graph(nodes, "graph", inputs, outputs, initializer=constants)
    made: ModelProto = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=9,
        producer_name="the tests",
    )
    blob: bytes = made.SerializeToString()
    return blob


def identity(kind: int = FLOAT, shape: Shape = ("N", 2)) -> bytes:
    node = helper.make_node("Identity", ["x"], ["y"])
    return model([node], [tensor("x", kind, shape)], [tensor("y", kind, shape)])


def two_inputs() -> bytes:
    node = helper.make_node("Add", ["a", "b"], ["y"])
    return model([node], [tensor("a"), tensor("b")], [tensor("y")])


def baked_batch() -> bytes:
    """Promises any number of rows and reshapes to one."""
    shape = numpy_helper.from_array(np.array([1, 2], np.int64), "shape")
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    return model([node], [tensor("x")], [tensor("y")], [shape])


def sequence_output() -> bytes:
    node = helper.make_node("SequenceConstruct", ["x"], ["y"])
    return model([node], [tensor("x")], [helper.make_tensor_sequence_value_info("y", FLOAT, None)])


def sequence_input() -> bytes:
    position = numpy_helper.from_array(np.array(0, np.int64), "position")
    node = helper.make_node("SequenceAt", ["x", "position"], ["y"])
    inputs = [helper.make_tensor_sequence_value_info("x", FLOAT, None)]
    return model([node], inputs, [tensor("y", shape=(None,))], [position])


def without_input() -> bytes:
    value = numpy_helper.from_array(np.array([1.0], np.float32))
    node = helper.make_node("Constant", [], ["y"], value=value)
    return model([node], [], [tensor("y", shape=(1,))])


def fails_on_any_row() -> bytes:
    """A Reshape to more values than there are: valid on paper, impossible in every run."""
    shape = numpy_helper.from_array(np.array([3, 3], np.int64), "shape")
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    return model([node], [tensor("x")], [tensor("y", shape=(3, 3))], [shape])


def eight_bit_floats() -> bytes:
    kind = TensorProto.FLOAT8E5M2
    node = helper.make_node("Cast", ["x"], ["y"], to=kind)
    return model([node], [tensor("x")], [tensor("y", kind)], opset=19)


def takes_much_in_between() -> bytes:
    """Its results are as large as its input, and what lies in between as well."""
    nodes = [
        helper.make_node("Sin", ["x"], ["a"]),
        helper.make_node("MatMul", ["a", "turn"], ["b"]),
        helper.make_node("Cos", ["b"], ["y"]),
    ]
    turn = numpy_helper.from_array(np.array([[0, 1], [1, 0]], np.float32), "turn")
    return model(nodes, [tensor("x")], [tensor("y")], [turn])


def texts_and_bfloats() -> bytes:
    nodes = [helper.make_node("Identity", [name], [f"same_{name}"]) for name in ("t", "b")]
    kinds = {"t": TensorProto.STRING, "b": TensorProto.BFLOAT16}
    inputs = [tensor(name, kind) for name, kind in kinds.items()]
    return model(nodes, inputs, [tensor(f"same_{name}", kind) for name, kind in kinds.items()])


def without_shape(name: str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, FLOAT, None)


def input_of_any_rank() -> bytes:
    node = helper.make_node("Identity", ["x"], ["y"])
    return model([node], [without_shape("x")], [without_shape("y")])


def output_of_unknown_rank() -> bytes:
    """What is left when all dimensions of size 1 go is known only when it runs."""
    node = helper.make_node("Squeeze", ["x"], ["y"])
    return model([node], [tensor("x", shape=(3, "N"))], [without_shape("y")])


def needs(gigabytes: int) -> bytes:
    """A few bytes of file that ask for this much memory when the model runs."""
    size = numpy_helper.from_array(np.array([gigabytes * 2**28], np.int64), "size")
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("ReduceProd", ["shape"], ["rows"], keepdims=1),
        helper.make_node("Mul", ["rows", "size"], ["many"]),
        helper.make_node("ConstantOfShape", ["many"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["y"], keepdims=0),
    ]
    return model(nodes, [tensor("x", shape=("N",))], [tensor("y", shape=())], [size])
