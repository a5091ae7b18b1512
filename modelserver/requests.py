"""An inference request as the Open Inference Protocol words it, checked against a signature."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson

from modelserver import binary
from modelserver.binary import Buffer
from modelserver.errors import Invalid, shown
from modelserver.tensors import Array, TensorReader
from wire.signature import DYNAMIC, Signature, TensorSpec

MAX_ID = 256
MAX_REMARK = 256

# For each input its dimensions' names, as the model's author gave them; None where there is none.
Symbols = Mapping[str, tuple[str | None, ...]]
Json = dict[str, object]

# What Triton's clients can ask for and nobody here can give: ignored, it would look granted.
_NOT_HERE = {
    "classification": "Outputs cannot be answered as classes here.",
    "shared_memory_region": "Tensors in shared memory are not read or written here.",
    "sequence_id": "Models here keep nothing from one request to the next.",
}
_NOTHING: Json = {}


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

    `outputs` are those to answer, in that order; of those that `binary` names by a true in the same
    place, the bytes are to follow the JSON. `remarks` are the reserved parameters (`subject`,
    `purpose`, `group.*`): they say something about the prediction and are kept apart from `feeds`,
    which is all that the model sees. `values` counts those of all the feeds.
    """

    id: str
    feeds: dict[str, Array]
    outputs: tuple[TensorSpec, ...]
    remarks: dict[str, str]
    rows: int
    values: int
    binary: tuple[bool, ...] = ()


class RequestReader:
    """Reads what is asked of one model. Everything it refuses, it refuses with Invalid.

    Null keys and unknown ones are ignored.
    """

    def __init__(
        self, signature: Signature, symbols: Symbols, *, allow_nonfinite: bool = False
    ) -> None:
        self._outputs = signature.outputs
        self._known = {spec.name: spec for spec in signature.outputs}
        self._allow_nonfinite = allow_nonfinite
        self._inputs = {
            spec.name: TensorReader(spec, allow_nonfinite=allow_nonfinite)
            for spec in signature.inputs
        }
        self._with_rows = [spec.name for spec in signature.inputs if spec.shape[:1] == (DYNAMIC,)]
        first = signature.inputs[0].name
        self._rows_of = first if first in self._with_rows else None
        names = [name for sizes in symbols.values() for name in sizes if name is not None]
        self._symbols = symbols if len(set(names)) < len(names) else {}

    def parse(self, body: Buffer, header_length: int | None = None) -> InferenceRequest:
        """From an HTTP body. `header_length` bytes of it are JSON, None means all; after them come
        the binary tensors. 0 means one tensor's bytes and no JSON at all.
        """
        if header_length == 0:
            return self._raw(body)
        tail: Buffer = b""
        if header_length is not None:
            if header_length > len(body):
                raise _unreadable("The body is shorter than its JSON is said to be.")
            whole = memoryview(body)
            body, tail = whole[:header_length], whole[header_length:]
        raw, simple = self._json(body)
        feeds = self._feeds(raw.get("inputs"), tail, simple=simple)
        asked, parameters = raw.get("outputs"), raw.get("parameters")
        outputs: tuple[TensorSpec, ...] = self._outputs
        in_binary: tuple[bool, ...] = ()
        if asked is not None or parameters is not None:
            outputs, in_binary = self._wanted(asked, parameters)
        return self._request(raw.get("id"), feeds, outputs, parameters, in_binary)

    def build(
        self,
        inputs: Sequence[Given],
        *,
        outputs: Sequence[str] = (),
        parameters: Mapping[str, object] | None = None,
        id: str = "",
    ) -> InferenceRequest:
        """From something other than JSON. No `outputs` means all of them, no `id` a new one."""
        feeds: dict[str, Array] = {}
        for given in inputs:
            reader = self._reader(given.name, feeds)
            shape = reader.shape(given.datatype, given.shape)
            feeds[given.name] = (
                binary.decode(reader, shape, given.data)
                if isinstance(given.data, bytes | memoryview)
                else reader.values(shape, given.data)
            )
        self._require_all(feeds)
        wanted, _ = self._wanted([{"name": name} for name in outputs], parameters)
        return self._request(id, feeds, wanted, parameters, ())

    def _json(self, body: Buffer) -> tuple[Json, bool]:
        """What the body says, and whether it is `simple` to `TensorReader.values`."""
        simple = type(body) is bytes and b"true" not in body and b"false" not in body
        try:
            raw = orjson.loads(body)
        except orjson.JSONDecodeError as problem:
            raw, simple = self._with_literals(body), False
            if raw is None:
                said = f"The body is not JSON: {problem.msg}."
                raise Invalid("request:not-json", said) from problem
        if not isinstance(raw, dict):
            raise Invalid("request:not-an-object", "The body is not a JSON object.")
        return raw, simple

    def _with_literals(self, body: Buffer) -> object:
        """What Python and Triton's client write for NaN and infinity is no JSON, but where these
        may be sent at all it is read. None when it is not that either."""
        if not self._allow_nonfinite:
            return None
        try:
            return json.loads(str(body, "utf-8"))
        except (ValueError, RecursionError):
            return None

    def _raw(self, body: Buffer) -> InferenceRequest:
        if len(self._inputs) != 1:
            raise _unreadable("Only a model with one input can be sent a raw request.")
        ((name, reader),) = self._inputs.items()
        if reader.kind == "bytes":
            array = binary.raw_text(reader, body)
        else:
            array = binary.decode(reader, binary.raw_shape(reader, body), body)
        everything = (True,) * len(self._outputs)
        return self._request(None, {name: array}, self._outputs, None, everything)

    def _request(
        self,
        id: object,
        feeds: dict[str, Array],
        outputs: tuple[TensorSpec, ...],
        parameters: object,
        in_binary: tuple[bool, ...],
    ) -> InferenceRequest:
        if self._symbols:
            _agree(feeds, self._symbols)
        values = 0
        for array in feeds.values():
            values += array.size
        rows = feeds[self._rows_of].shape[0] if self._rows_of is not None else 1
        if len(feeds) > 1:
            self._require_rows_or_none(feeds)
        remarks = _remarks(parameters) if parameters is not None else {}
        return InferenceRequest(_id(id), feeds, outputs, remarks, rows, values, in_binary)

    def _feeds(self, given: object, tail: Buffer, *, simple: bool) -> dict[str, Array]:
        if type(given) is not list:
            raise Invalid("request:inputs", "The request needs a list of `inputs`.")
        feeds: dict[str, Array] = {}
        at = 0
        for item in given:
            name = _name(item, "inputs")
            reader = self._reader(name, feeds)
            shape = reader.shape(item.get("datatype"), item.get("shape"))
            parameters = item.get("parameters")
            size = _binary_size(parameters) if parameters is not None else None
            if size is None:
                feeds[name] = reader.values(shape, item.get("data"), simple=simple)
                continue
            if item.get("data") is not None:
                raise _unreadable(f"Input {shown(name)} comes both as `data` and in binary.")
            if size > len(tail) - at:
                raise _unreadable(f"The body ends before the bytes of input {shown(name)} do.")
            feeds[name] = binary.decode(reader, shape, tail[at : at + size])
            at += size
        if at != len(tail):
            raise _unreadable(f"The body has {len(tail) - at} bytes that belong to no input.")
        self._require_all(feeds)
        return feeds

    def _reader(self, name: str, feeds: Mapping[str, Array]) -> TensorReader:
        reader = self._inputs.get(name)
        if reader is None:
            raise Invalid("input:unknown", f"The model has no input {shown(name)}.")
        if name in feeds:
            raise Invalid("request:inputs", f"{shown(name)} is named twice in `inputs`.")
        return reader

    def _require_rows_or_none(self, feeds: Mapping[str, Array]) -> None:
        """All inputs have rows, or none of them has: nothing in between is run."""
        have = {len(feeds[name]) > 0 for name in self._with_rows}
        if len(have) > 1 or (have == {False} and len(self._with_rows) < len(feeds)):
            said = "One input has no rows and another one has: there is nothing to predict."
            raise Invalid("input:empty", said)

    def _require_all(self, feeds: Mapping[str, Array]) -> None:
        if len(feeds) != len(self._inputs):
            missing = next(name for name in self._inputs if name not in feeds)
            raise Invalid("input:missing", f"Input {shown(missing)} is missing.")

    def _wanted(
        self, asked: object, parameters: object
    ) -> tuple[tuple[TensorSpec, ...], tuple[bool, ...]]:
        """The outputs to answer, and which of them in binary."""
        of_request = _parameters(parameters)
        all_in_binary = _flag(of_request, "binary_data_output", otherwise=False)
        if not asked and (asked is None or asked == []):
            return self._outputs, (all_in_binary,) * len(self._outputs)
        if not isinstance(asked, list):
            raise Invalid("request:outputs", "The `outputs` are not a list.")
        wanted: dict[str, bool] = {}
        for item in asked:
            name = _name(item, "outputs")
            if name in wanted:
                raise Invalid("request:outputs", f"{shown(name)} is named twice in `outputs`.")
            if name not in self._known:
                raise Invalid("output:unknown", f"The model has no output {shown(name)}.")
            own = _parameters(item.get("parameters"))
            wanted[name] = _flag(own, "binary_data", otherwise=all_in_binary)
        return tuple(self._known[name] for name in wanted), tuple(wanted.values())


def _unreadable(problem: str) -> Invalid:
    return Invalid("request:binary", problem)


# Nothing but unique: what a prediction's id says of it is another matter.
_BOOT = secrets.token_hex(8)
_number = itertools.count().__next__


def _id(given: object) -> str:
    if given is None or given == "":
        return f"{_BOOT}{_number():016x}"
    if not isinstance(given, str) or len(given) > MAX_ID:
        raise Invalid("request:id", f"The `id` is not a text of at most {MAX_ID} characters.")
    return given


def _name(item: object, what: str) -> str:
    name = item.get("name") if isinstance(item, dict) else None
    if not isinstance(name, str):
        raise Invalid(f"request:{what}", f"Each of the `{what}` must be an object with a `name`.")
    return name


def _agree(feeds: Mapping[str, Array], symbols: Symbols) -> None:
    """Dimensions that the model calls by one name must be of one size across its inputs."""
    sizes: dict[str, int] = {}
    for name, array in feeds.items():
        for symbol, size in zip(symbols.get(name, ()), array.shape, strict=False):
            if symbol is not None and sizes.setdefault(symbol, size) != size:
                problem = f"The inputs disagree on the size of the dimension {shown(symbol)}."
                raise Invalid("input:shape", problem)


def _parameters(given: object) -> Json:
    if given is None:
        return _NOTHING
    if not isinstance(given, dict):
        raise Invalid("request:parameters", "The `parameters` are not a JSON object.")
    for name, problem in _NOT_HERE.items():
        if given.get(name):
            raise Invalid("request:parameters", problem)
    return given


def _binary_size(parameters: object) -> int | None:
    size = _parameters(parameters).get("binary_data_size")
    if size is not None and (type(size) is not int or size < 0):
        raise _unreadable("A `binary_data_size` is not a number of bytes.")
    return size


def _flag(parameters: Json, name: str, *, otherwise: bool) -> bool:
    given = parameters.get(name)
    if given is None:
        return otherwise
    if not isinstance(given, bool):
        raise Invalid("request:parameters", f"The parameter {shown(name)} is not true or false.")
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
