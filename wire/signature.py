"""A model's signature: its inputs and outputs in the words of the Open Inference Protocol.

The datatypes are plain data here, so that the control plane can talk about tensors without numpy
or ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from wire.fields import Fields

Kind = Literal["bool", "int", "float", "bytes"]

MAX_TENSORS = 1000
MAX_RANK = 32
DYNAMIC = -1


@dataclass(frozen=True, slots=True)
class Datatype:
    """One protocol datatype with its names elsewhere; `low` and `high` bound the integers only.

    `numpy` is what holds its values: a BF16, which numpy does not know, is kept as its 16 bits.
    """

    name: str
    onnx: str
    numpy: str
    kind: Kind
    low: int = 0
    high: int = 0


def _signed(bits: int) -> Datatype:
    edge = 2 ** (bits - 1)
    return Datatype(f"INT{bits}", f"tensor(int{bits})", f"int{bits}", "int", -edge, edge - 1)


def _unsigned(bits: int) -> Datatype:
    return Datatype(f"UINT{bits}", f"tensor(uint{bits})", f"uint{bits}", "int", 0, 2**bits - 1)


_ALL = (
    Datatype("BOOL", "tensor(bool)", "bool", "bool"),
    *(_signed(bits) for bits in (8, 16, 32, 64)),
    *(_unsigned(bits) for bits in (8, 16, 32, 64)),
    Datatype("FP16", "tensor(float16)", "float16", "float"),
    Datatype("BF16", "tensor(bfloat16)", "uint16", "float"),
    Datatype("FP32", "tensor(float)", "float32", "float"),
    Datatype("FP64", "tensor(double)", "float64", "float"),
    Datatype("BYTES", "tensor(string)", "object", "bytes"),
)
DATATYPES: Mapping[str, Datatype] = MappingProxyType({datatype.name: datatype for datatype in _ALL})
BY_ONNX: Mapping[str, Datatype] = MappingProxyType({datatype.onnx: datatype for datatype in _ALL})


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, protocol datatype and shape of one tensor; -1 stands for a dimension of any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def to_json(self) -> dict[str, object]:
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}

    @classmethod
    def from_json(cls, raw: object) -> TensorSpec:
        fields = Fields(raw, kind="signature", where="tensor")
        name = fields.text("name", longest=1000)
        datatype = fields.text("datatype", longest=10)
        dimensions = fields.items("shape", longest=MAX_RANK)
        shape = tuple(fields.check_whole(d, "shape", low=DYNAMIC, high=2**40) for d in dimensions)
        fields.close()
        if datatype not in DATATYPES:
            raise fields.refusal(f"has the unknown datatype `{datatype}`")
        return cls(name, datatype, shape)


@dataclass(frozen=True, slots=True)
class Signature:
    """At least one input and one output; names are unique within each."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def takes_batches(self) -> bool:
        """Whether every input leaves its first dimension free: a promise of any number of rows."""
        return all(spec.shape[:1] == (DYNAMIC,) for spec in self.inputs)

    @property
    def can_be_batched(self) -> bool:
        """Whether rows of several requests may go in together and come out apart again: the first
        dimension of every input and output is free."""
        return self.takes_batches and all(spec.shape[:1] == (DYNAMIC,) for spec in self.outputs)

    def to_json(self) -> dict[str, object]:
        return {
            "inputs": [spec.to_json() for spec in self.inputs],
            "outputs": [spec.to_json() for spec in self.outputs],
        }

    @classmethod
    def from_json(cls, raw: object) -> Signature:
        """Strict; raises wire.errors.Unreadable with the code `signature:invalid`."""
        fields = Fields(raw, kind="signature", where="signature")
        sides: list[tuple[TensorSpec, ...]] = []
        for side in ("inputs", "outputs"):
            specs = tuple(
                TensorSpec.from_json(item) for item in fields.items(side, longest=MAX_TENSORS)
            )
            if not specs or len({spec.name for spec in specs}) != len(specs):
                raise fields.refusal(f"has no {side}, or two of one name")
            sides.append(specs)
        fields.close()
        return cls(*sides)
