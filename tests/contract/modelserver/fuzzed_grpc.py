"""Requests that no client means: mutated messages, nonsense that parses, lies on the wire."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from modelserver.pb import inference_pb2 as pb
from tests.contract.modelserver import http2_frames as h2
from wire.signature import DATATYPES

SERVICE = "/inference.GRPCInferenceService"
METHODS = ("ModelInfer", "ModelMetadata", "ModelReady", "ServerMetadata", "ServerReady")
PATHS = (
    *(f"{SERVICE}/{method}" for method in METHODS),
    *("/grpc.health.v1.Health/Check", f"{SERVICE}/ModelStreamInfer", f"{SERVICE}/", "/", "/a/b/c"),
    "/inference.GRPCInferenceService/modelinfer",
)
NAMES = ("X", "", "x", "Y", "X\n", "é" * 30, "X" * 600)
SIZES = (0, 1, 2, 29, 30, 31, -1, -2, 2**31, 2**62, -(2**63))
FIELDS = {field.name: field for field in pb.InferTensorContents.DESCRIPTOR.fields}


class Sent(NamedTuple):
    path: str
    body: bytes


def valid(rows: int = 2) -> pb.ModelInferRequest:
    tensor = {"name": "X", "datatype": "FP32", "shape": [rows, 30]}
    tensor["contents"] = {"fp32_contents": [0.5] * 30 * rows}
    return pb.ModelInferRequest(model_name="tumour", id="mine", inputs=[tensor])


def requests(dice: random.Random, count: int) -> Iterator[Sent]:
    kinds = (_mutated, _nonsense, _noise, _inflating)
    for kind in dice.choices(kinds, (9, 12, 4, 1), k=count):
        yield kind(dice)


def _mutated(dice: random.Random) -> Sent:
    message = valid() if dice.random() < 0.5 else nonsense(dice)
    body = bytearray(message.SerializeToString())
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(len(body) + 1)
        match dice.randrange(4):
            case 0:
                body[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                del body[at : at + dice.randint(1, 20)]
            case 2:
                body[at:at] = dice.randbytes(dice.randint(1, 20))
            case _:
                del body[at:]
    return Sent(f"{SERVICE}/ModelInfer", bytes(body))


def _noise(dice: random.Random) -> Sent:
    return Sent(dice.choice(PATHS), dice.randbytes(dice.choice((0, 1, 5, 100, 5000))))


def _inflating(dice: random.Random) -> Sent:
    """Two bytes each that are a whole message, a text or a parameter once they are read."""
    field = dice.choice((b"\x2a\x00", b"\x32\x00", b"\x22\x00", b"\x3a\x00"))
    body = valid().SerializeToString() + field * dice.choice((1_000, 100_000, 500_000))
    return Sent(f"{SERVICE}/ModelInfer", body)


def _nonsense(dice: random.Random) -> Sent:
    return Sent(f"{SERVICE}/ModelInfer", nonsense(dice).SerializeToString())


def nonsense(dice: random.Random) -> pb.ModelInferRequest:
    """A message that parses, and of which this or that is wrong."""
    asked = valid(dice.choice((1, 2, 50)))
    for wrong in dice.sample(_WRONGS, dice.randint(1, 3)):
        wrong(dice, asked)
    return asked


def _names(dice: random.Random, asked: pb.ModelInferRequest) -> None:
    asked.model_name = dice.choice((*NAMES, "tumour", "tumour"))
    asked.model_version = dice.choice(("", "1", "0", "latest", "9" * 400))
    asked.id = dice.choice(("", "i" * 256, "i" * 257, "\0", "🛶"))


def _tensors(dice: random.Random, asked: pb.ModelInferRequest) -> None:
    for _ in range(dice.choice((0, 1, 2, 2000))):
        asked.inputs.add(name=dice.choice(NAMES), datatype=dice.choice((*DATATYPES, "", "FP8")))
    if dice.random() < 0.3:
        del asked.inputs[:1]


def _shape(dice: random.Random, asked: pb.ModelInferRequest) -> None:
    for tensor in asked.inputs[:3]:
        rank = dice.choice((0, 1, 2, 2, 2, 3, 40))
        tensor.shape[:] = [dice.choice(SIZES) for _ in range(rank)]
        tensor.datatype = dice.choice(("FP32", "FP32", *DATATYPES))


def _contents(dice: random.Random, asked: pb.ModelInferRequest) -> None:
    for tensor in asked.inputs[:3]:
        if dice.random() < 0.5:
            tensor.ClearField("contents")
        name = dice.choice(list(FIELDS))
        getattr(tensor.contents, name).extend([_value(dice, name)] * dice.choice((1, 30, 60)))


def _value(dice: random.Random, field: str) -> Any:
    if field == "bool_contents":
        return True
    if field == "bytes_contents":
        return dice.choice((b"", b"\xff\xfe", b"text", b"\0" * 1000))
    if field.startswith("fp"):
        return dice.choice((0.0, float("nan"), float("inf"), -1e300 if "64" in field else -3e38))
    return dice.choice((0, 1, 127, 128, 2**31 - 1))


def _raw(dice: random.Random, asked: pb.ModelInferRequest) -> None:
    if dice.random() < 0.7:
        for tensor in asked.inputs:
            tensor.ClearField("contents")
    for _ in range(dice.choice((1, 1, 2, len(asked.inputs)))):
        nan = struct.pack("<f", float("nan"))
        asked.raw_input_contents.append(
            dice.choice(
                (b"", b"\0" * 240, b"\0" * 239, nan * 60, b"\xff\xff\xff\xff", b"\x01" * 60)
            )
        )


def _outputs(dice: random.Random, asked: pb.ModelInferRequest) -> None:
    for _ in range(dice.choice((1, 2, 3, 2000))):
        asked.outputs.add(name=dice.choice((*NAMES, "label", "probabilities")))


def _parameters(dice: random.Random, asked: pb.ModelInferRequest) -> None:
    for _ in range(dice.randint(1, 5)):
        name = dice.choice(("subject", "purpose", "group.age", "binary_data_output", "", "other"))
        parameter = asked.parameters[name]
        match dice.randrange(5):
            case 0:
                parameter.string_param = dice.choice(("", "me", "m" * 300))
            case 1:
                parameter.int64_param = -1
            case 2:
                parameter.bool_param = True
            case 3:
                parameter.double_param = float("nan")


_WRONGS = (_names, _tensors, _shape, _contents, _raw, _outputs, _parameters)


def calls(dice: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """Connections byte by byte, each with a call that must be answered or ended."""
    return _connections(dice, _CALLS, count)


def breaches(dice: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """Connections byte by byte that are no HTTP/2 or have no call to be answered."""
    return _connections(dice, _BREACHES, count)


def _connections(
    dice: random.Random, made: dict[str, Callable[[random.Random], bytes]], count: int
) -> Iterator[tuple[str, bytes]]:
    for _ in range(count):
        name = dice.choice(list(made))
        yield name, made[name](dice)


def _head(**more: Any) -> bytes:
    return h2.fields(**({"path": f"{SERVICE}/ModelInfer"} | more))


def _body() -> bytes:
    return valid().SerializeToString()


_CALLS: dict[str, Callable[[random.Random], bytes]] = {
    "a length that promises more": lambda dice: h2.call(
        _head(), h2.message(_body(), claims=len(_body()) + dice.randint(1, 10_000))
    ),
    "a length that ends early": lambda dice: h2.call(
        _head(), h2.message(_body(), claims=dice.randrange(len(_body())))
    ),
    "a length of four gigabytes": lambda dice: h2.call(
        _head(), h2.message(_body(), claims=2**32 - 1)
    ),
    "half a prefix": lambda dice: h2.call(_head(), h2.message(b"")[: dice.randint(1, 4)]),
    "compressed without saying how": lambda dice: h2.call(
        _head(), h2.message(_body(), compressed=dice.choice((1, 2, 255)))
    ),
    "no gzip in it": lambda dice: h2.call(
        _head(grpc_encoding="gzip"), h2.message(dice.randbytes(100), compressed=1)
    ),
    "an unknown compression": lambda dice: h2.call(
        _head(grpc_encoding="snail"), h2.message(_body(), compressed=1)
    ),
    "another content type": lambda dice: h2.call(
        _head(content_type=dice.choice(("text/plain", "application/json", ""))),
        h2.message(_body()),
    ),
    "a field left out": lambda dice: h2.call(
        _head(without=dice.choice(("te", "content-type", ":path", ":method", ":scheme"))),
        h2.message(_body()),
    ),
    "another method": lambda dice: h2.call(
        _head(more=((":method", dice.choice(("GET", "PUT", ""))),), without=":method"),
        h2.message(_body()),
    ),
    "a wrong content length": lambda dice: h2.call(
        _head(content_length=dice.choice(("0", "5", "99999", "-1", "x"))), h2.message(_body())
    ),
    "a timeout that is none": lambda dice: h2.call(
        _head(grpc_timeout=dice.choice(("", "x", "-1S", "0n", "99999999999H", "1"))),
        h2.message(_body()),
    ),
    "two messages": lambda dice: h2.call(_head(), h2.message(_body()), h2.message(_body())),
    "no message": lambda dice: h2.call(_head()),
    "fields over the limit": lambda dice: h2.call(
        h2.fields(path=f"{SERVICE}/ModelInfer", more=[("x-much", "m" * 12_000)]),
        h2.message(_body()),
    ),
}
_BREACHES: dict[str, Callable[[random.Random], bytes]] = {
    "data before the fields": lambda dice: (
        h2.PREFACE + h2.frame(h2.SETTINGS) + h2.frame(h2.DATA, b"x", flags=1, stream=1)
    ),
    "fields on no stream": lambda dice: (
        h2.PREFACE + h2.frame(h2.SETTINGS) + h2.frame(h2.HEADERS, _head(), flags=5, stream=0)
    ),
    "fields that are no fields": lambda dice: h2.call(dice.randbytes(50), h2.message(_body())),
    "settings of another length": lambda dice: (
        h2.PREFACE + h2.frame(h2.SETTINGS, b"\0" * dice.choice((1, 5, 7)))
    ),
    "a window that overflows": lambda dice: (
        h2.PREFACE + h2.frame(h2.SETTINGS) + h2.frame(h2.WINDOW, b"\x7f\xff\xff\xff") * 2
    ),
    "noise after the preface": lambda dice: h2.PREFACE + dice.randbytes(300),
    "another protocol": lambda dice: b"GET /v2 HTTP/1.1\r\nhost: a\r\n\r\n",
    "a greeting of TLS": lambda dice: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
}
