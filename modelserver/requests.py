"""An inference request as the Open Inference Protocol words it, read from JSON."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson

from modelserver.errors import Invalid, shown
from modelserver.tensors import Array, decode
from wire.signature import Signature, TensorSpec

MAX_ID = 256
MAX_REMARK = 256

# For each input its dimensions' names, as the model's author gave them; None where there is none.
Symbols = Mapping[str, tuple[str | None, ...]]


class Given(NamedTuple):
    """One input as a client sent it: nothing of it is checked yet.

    `data` is a list of values, flat in row-major order or nested like the shape, or the bytes of a
    binary tensor.
    """

    name: str
    datatype: object
    shape: object
    data: object


class InferenceRequest(NamedTuple):
    """A request that fits the signature; only this module makes one.

    `outputs` are those to answer, in that order. `remarks` are the reserved parameters (`subject`,
    `purpose`, `group.*`): they say something about the prediction and are kept apart from `feeds`,
    which is all that the model sees."""

    id: str
    feeds: dict[str, Array]
    outputs: tuple[TensorSpec, ...]
    remarks: dict[str, str]
    rows: int


def build(
    signature: Signature,
    symbols: Symbols,
    inputs: Sequence[Given],
    *,
    outputs: Sequence[str] = (),
    parameters: Mapping[str, object] | None = None,
    id: str = "",
) -> InferenceRequest:
    """The checked request, or Invalid; for what did not come as JSON. No `outputs` means all."""
    named = [given._asdict() for given in inputs]
    feeds = _feeds(named, signature)
    _agree(feeds, symbols)
    return InferenceRequest(
        id=_id(id),
        feeds=feeds,
        outputs=_outputs([{"name": name} for name in outputs], signature),
        remarks=_remarks(parameters),
        rows=_rows(feeds, signature),
    )


def parse(body: bytes, signature: Signature, symbols: Symbols) -> InferenceRequest:
    """The checked request, or Invalid. Null keys and unknown ones are ignored."""
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise Invalid("request:not-json", f"The body is not JSON: {problem.msg}.") from problem
    if not isinstance(raw, dict):
        raise Invalid("request:not-an-object", "The body is not a JSON object.")
    feeds = _feeds(raw.get("inputs"), signature)
    _agree(feeds, symbols)
    return InferenceRequest(
        id=_id(raw.get("id")),
        feeds=feeds,
        outputs=_outputs(raw.get("outputs"), signature),
        remarks=_remarks(raw.get("parameters")),
        rows=_rows(feeds, signature),
    )


def _id(given: object) -> str:
    if given is None or given == "":
        return secrets.token_hex(16)
    if not isinstance(given, str) or len(given) > MAX_ID:
        raise Invalid("request:id", f"The `id` is not a text of at most {MAX_ID} characters.")
    return given


def _named(given: object, what: str) -> dict[str, Mapping[str, object]]:
    if not isinstance(given, list):
        raise Invalid(f"request:{what}", f"The request needs a list of `{what}`.")
    named: dict[str, Mapping[str, object]] = {}
    for item in given:
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str):
            raise Invalid(
                f"request:{what}", f"Each of the `{what}` must be an object with a `name`."
            )
        if name in named:
            raise Invalid(f"request:{what}", f"{shown(name)} is named twice in `{what}`.")
        _parameters(item.get("parameters"))
        named[name] = item
    return named


def _feeds(given: object, signature: Signature) -> dict[str, Array]:
    tensors = _named(given, "inputs")
    feeds: dict[str, Array] = {}
    for spec in signature.inputs:
        tensor = tensors.pop(spec.name, None)
        if tensor is None:
            raise Invalid("input:missing", f"Input {shown(spec.name)} is missing.")
        feeds[spec.name] = decode(spec, tensor)
    if tensors:
        raise Invalid("input:unknown", f"The model has no input {shown(min(tensors))}.")
    return feeds


def _outputs(given: object, signature: Signature) -> tuple[TensorSpec, ...]:
    if given is None or given == []:
        return signature.outputs
    known = {spec.name: spec for spec in signature.outputs}
    wanted = _named(given, "outputs")
    for name in wanted:
        if name not in known:
            raise Invalid("output:unknown", f"The model has no output {shown(name)}.")
    return tuple(known[name] for name in wanted)


def _agree(feeds: Mapping[str, Array], symbols: Symbols) -> None:
    """Dimensions that the model calls by one name must be of one size across its inputs."""
    sizes: dict[str, int] = {}
    for name, array in feeds.items():
        for symbol, size in zip(symbols.get(name, ()), array.shape, strict=False):
            if symbol is not None and sizes.setdefault(symbol, size) != size:
                problem = f"The inputs disagree on the size of the dimension {shown(symbol)}."
                raise Invalid("input:shape", problem)


def _parameters(given: object) -> Mapping[str, object]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise Invalid("request:parameters", "The `parameters` are not a JSON object.")
    if "binary_data_size" in given:
        raise Invalid("request:binary", "Binary tensors are not read here; send `data` as JSON.")
    return given


def _remarks(given: object) -> dict[str, str]:
    remarks: dict[str, str] = {}
    for name, value in _parameters(given).items():
        if name in {"subject", "purpose"} or name.startswith("group."):
            if not isinstance(value, str) or not 0 < len(value) <= MAX_REMARK:
                problem = (
                    f"The parameter {shown(name)} is not a text of at most {MAX_REMARK} characters."
                )
                raise Invalid("request:parameters", problem)
            remarks[name] = value
    return remarks


def _rows(feeds: Mapping[str, Array], signature: Signature) -> int:
    first = signature.inputs[0]
    return feeds[first.name].shape[0] if first.shape and first.shape[0] == -1 else 1
