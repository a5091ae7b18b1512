"""A model that gives back what it gets, in the datatypes that are easy to get wrong."""

from __future__ import annotations

from onnx import TensorProto, helper

INPUTS = (
    ("text", TensorProto.STRING, ("N",)),
    ("half", TensorProto.FLOAT16, ("N", 2)),
    ("count", TensorProto.INT64, ("N",)),
    ("flag", TensorProto.BOOL, ("N",)),
    ("number", TensorProto.FLOAT, ("N", 1)),
)


def mixed() -> bytes:
    """Each output is called `same_` and its input."""
    nodes = [helper.make_node("Identity", [name], [f"same_{name}"]) for name, _, _ in INPUTS]
    inputs = [helper.make_tensor_value_info(*each) for each in INPUTS]
    outputs = [
        helper.make_tensor_value_info(f"same_{name}", kind, shape) for name, kind, shape in INPUTS
    ]
    graph = helper.make_graph(nodes, "mixed", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    blob: bytes = model.SerializeToString()
    return blob
