"""`python -m deployments.adapters.onnx_check FILE`: is this a model that Slipway accepts?

Runs in the sandbox, without Django, and never runs the model. It prints one JSON object: a report
(exit 0), or `code` and `message` (exit 3). The order is from cheap to dear, and nothing is believed
before it is checked: the outline of the file, versions, external data, operator domains, the types
at the edge of the graph, and last the ONNX checker with its inference of shapes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

ACCEPTED, REFUSED = 0, 3

# What the pinned ONNX Runtime guarantees; tests/contract/intake asks it whether that is still so.
IR_VERSIONS = range(3, 14)
OPSETS = {"ai.onnx": range(7, 27), "ai.onnx.ml": range(1, 6)}

# Fields of ModelProto: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
_MODEL_FIELDS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})
_IR_VERSION, _GRAPH = 1, 7
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_FIELDS = 100_000

_KINDS = {
    "sequence_type": "a sequence",
    "map_type": "a map",
    "optional_type": "an optional value",
    "sparse_tensor_type": "a sparse tensor",
    "opaque_type": "opaque",
}
_REMEDY_FOR_MAPS = (
    " skl2onnx makes a list of dictionaries for class probabilities; convert with"
    " options={'zipmap': False} and it becomes a tensor."
)


class Refusal(Exception):
    """`code` is stable, `message` is a sentence for the person who made the file."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def check(path: Path) -> dict[str, object]:
    """What the file is. Raises Refusal."""
    with path.open("rb") as file:
        outline(file, path.stat().st_size)
    blob = path.read_bytes()
    model = _parse(blob)
    _check_versions(model)
    messages = list(_walk(model))
    _check_data(messages)
    _check_domains(model, messages)
    _check_edges(model)
    _check_formally(blob)
    return {
        "ir_version": model.ir_version,
        "opsets": {
            _printable(_domain(each.domain), 60): each.version for each in model.opset_import
        },
        "producer": _printable(f"{model.producer_name} {model.producer_version}".strip(), 200),
        "nodes": sum(1 for each in messages if each.DESCRIPTOR.name == "NodeProto"),
    }


def outline(file: BinaryIO, size: int) -> None:
    """The outermost fields of the file, by seeking over their contents.

    It tells a file that was cut off from one that never was a model, which the parser cannot.
    """
    seen: set[int] = set()
    for _ in range(_MOST_FIELDS):
        if file.tell() == size:
            break
        key = _varint(file, cut_off=bool(seen))
        number, kind = key >> 3, key & 7
        if number not in _MODEL_FIELDS:
            raise _not_onnx()
        if _skip(file, kind, cut_off=bool(seen)) > size:
            # Random bytes run over their end at once; a model begins with its version.
            raise _truncated() if _IR_VERSION in seen else _not_onnx()
        seen.add(number)
    if _GRAPH not in seen:
        raise _truncated() if _IR_VERSION in seen else _not_onnx()


def _skip(file: BinaryIO, kind: int, *, cut_off: bool) -> int:
    """Moves over one value; returns where it ends, which may be after the file."""
    if kind == _VARINT:
        _varint(file, cut_off=cut_off)
    elif kind == _BYTES:
        file.seek(_varint(file, cut_off=cut_off), 1)
    elif kind in (_FIXED64, _FIXED32):
        file.seek(8 if kind == _FIXED64 else 4, 1)
    else:
        raise _not_onnx()
    return file.tell()


def _varint(file: BinaryIO, *, cut_off: bool) -> int:
    value = 0
    for shift in range(0, 63, 7):
        byte = file.read(1)
        if not byte:
            raise _truncated() if cut_off else _not_onnx()
        value |= (byte[0] & 0x7F) << shift
        if not byte[0] & 0x80:
            return value
    raise _not_onnx()


def _not_onnx() -> Refusal:
    return Refusal("artifact:not-onnx", "The file is not an ONNX model.")


def _truncated() -> Refusal:
    return Refusal("artifact:truncated", "The file ends in the middle of a model; upload it again.")


def _parse(blob: bytes) -> Any:
    # Imported late: what only looks at the outline does not pay for it.
    import onnx  # noqa: PLC0415
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    try:
        return onnx.ModelProto.FromString(blob)
    except DecodeError:
        raise Refusal(
            "artifact:not-onnx", "The file begins like an ONNX model, but cannot be read as one."
        ) from None


def _check_versions(model: Any) -> None:
    if model.ir_version not in IR_VERSIONS:
        raise Refusal(
            "model:unsupported-ir-version",
            f"The model's format (IR) is version {model.ir_version}; versions {IR_VERSIONS[0]} to"
            f" {IR_VERSIONS[-1]} can be served. Export it with an ir_version of at most"
            f" {IR_VERSIONS[-1]}.",
        )
    if not model.opset_import:
        raise Refusal("model:unsupported-opset", "The model names no operator set that it uses.")
    imported = [*model.opset_import]
    for function in model.functions:
        imported += function.opset_import
    for opset in imported:
        domain = _domain(opset.domain)
        supported = OPSETS.get(domain)
        if supported is not None and opset.version not in supported:
            raise Refusal(
                "model:unsupported-opset",
                f"The model uses operator set {opset.version} of {domain}; {supported[0]} to"
                f" {supported[-1]} can be served. Convert it with target_opset={supported[-1]} or"
                " less.",
            )


def _walk(message: Any) -> Iterator[Any]:
    """Every message inside, whatever field it hides in. Tensors are not entered: they are data."""
    yield message
    if message.DESCRIPTOR.name == "TensorProto":
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if _many(value) else [value]:
                yield from _walk(inner)


def _many(value: Any) -> bool:
    return not hasattr(value, "DESCRIPTOR")


def _check_data(messages: list[Any]) -> None:
    for each in messages:
        if each.DESCRIPTOR.name != "TensorProto":
            continue
        if each.external_data or each.data_location == each.EXTERNAL:
            raise Refusal(
                "model:external-data",
                f"The tensor {_shown(each.name)} keeps its values in another file. Save the model"
                " as one file (onnx.save with save_as_external_data=False).",
            )


def _check_domains(model: Any, messages: list[Any]) -> None:
    functions = {_domain(each.domain) for each in model.functions}
    foreign = [domain for domain in sorted(functions) if domain not in OPSETS]
    foreign += [
        _domain(each.domain)
        for each in messages
        if each.DESCRIPTOR.name == "NodeProto" and _domain(each.domain) not in OPSETS
    ]
    if foreign:
        raise Refusal(
            "model:foreign-operator",
            f"The model uses operators of {_shown(foreign[0])}; only ONNX's own (ai.onnx) and"
            " ai.onnx.ml are accepted.",
        )


def _check_edges(model: Any) -> None:
    for side, values in (("input", model.graph.input), ("output", model.graph.output)):
        for value in values:
            kind = value.type.WhichOneof("value")
            if kind != "tensor_type":
                remedy = _REMEDY_FOR_MAPS if "map_type" in str(value.type) else ""
                what = _KINDS.get(kind, "of no known type")
                raise Refusal(
                    f"model:unsupported-{side}",
                    f"The {side} {_shown(value.name)} is {what}, but only plain tensors can"
                    f" be served.{remedy}",
                )
    if not model.graph.output:
        raise Refusal("model:unsupported-output", "The model has no output.")


def _check_formally(blob: bytes) -> None:
    import onnx  # noqa: PLC0415

    try:
        onnx.checker.check_model(blob, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as problem:
        raise Refusal("model:invalid", f"The ONNX checker refuses it: {_first(problem)}") from None
    except (ValueError, RuntimeError) as problem:
        raise Refusal("model:invalid", f"The ONNX checker fails on it: {_first(problem)}") from None


def _first(problem: Exception) -> str:
    return " ".join(str(problem).split())[:300]


def _domain(name: str) -> str:
    """ONNX's own operators go by an empty name as well."""
    return name or "ai.onnx"


def _shown(name: str) -> str:
    return f"`{_printable(name, 60)}`"


def _printable(text: str, longest: int) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:longest])


def answer(path: Path, look: Callable[[Path], dict[str, object]] = check) -> tuple[int, str]:
    """The exit code and the JSON to print."""
    try:
        return ACCEPTED, json.dumps(look(path))
    except Refusal as problem:
        return REFUSED, json.dumps({"code": problem.code, "message": problem.message})
    except MemoryError:
        message = "Reading the model needs more memory than intake may use."
        return REFUSED, json.dumps({"code": "model:needs-too-much-memory", "message": message})


def main() -> int:
    code, text = answer(Path(sys.argv[1]))
    sys.stdout.write(text + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
