"""Requests that no client means: mutated bytes, nonsense that parses, lies about lengths."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Iterator

from tests.contract.modelserver.server import infer_request

INFER = "/v2/models/tumour/infer"
PATHS = (
    *(INFER, "/v2/models/tumour/versions/1/infer", "/v2/models/tumour", "/v2", "/"),
    *("/v2/health/live", "/v2/health/ready", "/v2/models//infer", "/v2/models/tumour/versions//x"),
    *("*", "//", "/%", "/%zz", "/v2%00", "http://a/v2", "http://[", "?", "/v2?" + "a" * 3000),
    *("/telemetry/v1/report", "/telemetry/v1/certificate", "/" + "a" * 40_000),
)
METHODS = ("GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "CONNECT", "TRACE", "PRI", "get", "")
VERSIONS = ("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.10", "HTTP/", "")
FIELDS = (
    *("Content-Type: application/json", "Content-Type: text/plain", "Content-Type:"),
    *("Content-Encoding: gzip", "Content-Encoding: identity", "Transfer-Encoding: chunked"),
    *("Transfer-Encoding: gzip, chunked", "Transfer-Encoding: identity", "TE: trailers"),
    *("Content-Length: 0", "Content-Length: 5", "Content-Length: -1", "Content-Length: 1e3"),
    *("Content-Length: 99999999999999999999", "Content-Length: 11000000", "Host:", "Host: b"),
    *("Expect: 100-continue", "Expect: more", "Connection: close", "Connection: Upgrade"),
    *("Upgrade: h2c", "Upgrade: websocket", "Connection: keep-alive, close", "Cookie: \x00"),
    *("Inference-Header-Content-Length: 5", "Inference-Header-Content-Length: -5"),
    *("Inference-Header-Content-Length: 999999999999999", "X-Slipway-Key: \x7f", ": a", "a"),
    *(
        "X-Slipway-Key: key_1",
        "Authorization: Bearer",
        "Authorization: Basic =",
        "X: " + "y" * 9000,
    ),
    *("X: " + "y" * 9000, " folded: yes"),
)
NUMBERS = (0, 1, -1, 2**31, 2**63, 2**64, -(2**70), 0.5, 1e308, 10**400, 3.4e39, 1e-400)
TEXTS = ("", "X", "x", "label", "FP32", "BYTES", "é", "\x00", "\ud83d", "a" * 5000, "subject")


def requests(dice: random.Random, count: int) -> Iterator[bytes]:
    kinds: tuple[Callable[[random.Random], bytes], ...] = (
        *(_mutated, _mutated, _nonsense, _nonsense, _odd_head, _odd_head),
        *(_chunks, _binary, _several, _noise),
    )
    for _ in range(count):
        yield dice.choice(kinds)(dice)


def valid(rows: int = 2) -> bytes:
    return _post(json.dumps(infer_request([[0.5] * 30] * rows, id="mine")).encode())


def _post(body: bytes, *fields: str) -> bytes:
    head = [f"POST {INFER} HTTP/1.1", "Host: replica", f"Content-Length: {len(body)}"]
    if not any(field.lower().startswith("content-type") for field in fields):
        head.append("Content-Type: application/json")
    return "\r\n".join([*head, *fields, "", ""]).encode("latin-1") + body


def _mutated(dice: random.Random) -> bytes:
    raw = bytearray(valid(dice.randint(1, 3)))
    if dice.random() < 0.5:  # the head only: most bytes are of the body
        head = raw.index(b"\r\n\r\n") + 4
        return _changed(dice, raw[:head]) + bytes(raw[head:])
    return _changed(dice, raw)


def _changed(dice: random.Random, raw: bytearray) -> bytes:
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(raw) + 1)
        match dice.randrange(5):
            case 0:
                raw[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                del raw[at : at + dice.randint(1, 20)]
            case 2:
                raw[at:at] = dice.randbytes(dice.randint(1, 20))
            case 3:
                raw[at:at] = dice.choice((b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\r\n\r\n"))
            case _:
                del raw[at:]
    return bytes(raw)


def _nonsense(dice: random.Random) -> bytes:
    """JSON that is a request here and there."""
    request = infer_request([[0.5] * 30])
    tensor = request["inputs"][0]
    for _ in range(dice.randint(1, 3)):
        place = dice.choice((request, tensor, request.setdefault("parameters", {})))
        if isinstance(place, dict):
            name = dice.choice(
                ("id", "inputs", "outputs", "parameters", "name", "shape", "datatype", "data")
            )
            place[name] = _value(dice)
    return _post(json.dumps(request).encode())


def _value(dice: random.Random, depth: int = 3) -> object:
    match dice.randrange(6 if depth else 4):
        case 0:
            return dice.choice(NUMBERS)
        case 1:
            return dice.choice(TEXTS)
        case 2:
            return dice.choice((None, True, False))
        case 3:
            return [dice.choice(NUMBERS)] * dice.choice((0, 1, 30, 60))
        case 4:
            return [_value(dice, depth - 1) for _ in range(dice.randrange(4))]
        case _:
            keys = ("name", "shape", "datatype", "data", "parameters", "binary_data_size")
            return {dice.choice(keys): _value(dice, depth - 1) for _ in range(dice.randrange(4))}


def _odd_head(dice: random.Random) -> bytes:
    first = f"{dice.choice(METHODS)} {dice.choice(PATHS)} {dice.choice(VERSIONS)}"
    fields = dice.choices(FIELDS, k=dice.randrange(5))
    if dice.random() < 0.8:
        fields.insert(0, "Host: replica")
    if dice.random() < 0.02:
        fields *= 200
    end = dice.choice(("\r\n", "\r\n", "\r\n", "\n"))
    body = dice.choice((b"", b"12345", b"0\r\n\r\n", b"5\r\nabcde\r\n0\r\n\r\n"))
    return end.join([first, *fields, "", ""]).encode("utf-8", "replace") + body


def _chunks(dice: random.Random) -> bytes:
    body = json.dumps(infer_request([[0.5] * 30])).encode()
    raw = f"POST {INFER} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    while body:
        size = dice.randint(1, len(body))
        said = size if dice.random() < 0.9 else dice.choice((0, size + 1, 2**40))
        extension = dice.choice((b"", b"", b";a=b", b"; \x00", b" "))
        raw += b"%x" % said + extension + dice.choice((b"\r\n", b"\r\n", b"\r\n", b"\n"))
        raw += body[:size] + dice.choice((b"\r\n", b"\r\n", b"\r\n", b""))
        body = body[size:]
    return raw + dice.choice((b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"0\r\n", b""))


def _binary(dice: random.Random) -> bytes:
    """A binary tensor, and what is said about its size."""
    floats = struct.pack("<30f", *[0.5] * 30)[: dice.choice((120, 120, 119, 4, 0))]
    request = infer_request([[0.5] * 30])
    tensor = request["inputs"][0]
    if dice.random() < 0.9:
        del tensor["data"]
    size = dice.choice((120, 120, 119, 0, -1, 2**40, "120", None))
    tensor["parameters"] = {"binary_data_size": size}
    tensor["datatype"] = dice.choice(("FP32", "FP32", "BYTES", "FP64", "nothing"))
    if dice.random() < 0.5:
        request["parameters"] = {"binary_data_output": dice.choice((True, True, 1, "yes"))}
    header = json.dumps(request).encode()
    length = dice.choice((len(header), len(header), len(header) - 1, 0, 10**9, "x"))
    kind = dice.choice(("application/octet-stream", "application/json", "text/plain"))
    fields = (f"Inference-Header-Content-Length: {length}", f"Content-Type: {kind}")
    return _post(header + floats, *fields)


def _several(dice: random.Random) -> bytes:
    kinds = (_mutated, _nonsense, _odd_head, _chunks, lambda _: valid())
    return b"".join(dice.choice(kinds)(dice) for _ in range(dice.randint(2, 6)))


def _noise(dice: random.Random) -> bytes:
    return dice.randbytes(dice.choice((0, 1, 10, 1000, 70_000)))
