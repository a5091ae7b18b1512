"""HTTP/2 by hand, for what no client library would send."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
SECONDS = 60

Fields = Iterable[tuple[str, str]]


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def fields(*, path: str, more: Fields = (), without: str = "", **changed: str) -> bytes:
    """The header fields of a gRPC call as HPACK literals; `changed` names them with underscores."""
    plain = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "127.0.0.1",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    plain |= {name.replace("_", "-"): value for name, value in changed.items()}
    plain.pop(without, None)
    every = [*plain.items(), *more]
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in every)


def _text(text: str) -> bytes:
    raw = text.encode("latin-1")
    left = len(raw) - 127
    if left < 0:
        return bytes([len(raw)]) + raw
    length = bytearray([127])
    while left > 127:
        length.append(left & 127 | 128)
        left >>= 7
    return bytes(length) + bytes([left]) + raw


def message(body: bytes, *, claims: int | None = None, compressed: int = 0) -> bytes:
    """gRPC's own frame around a message; `claims` is a length that may be a lie."""
    return struct.pack(">BI", compressed, len(body) if claims is None else claims) + body


def call(head: bytes, *bodies: bytes, stream: int = 1, end: bool = True) -> bytes:
    """A connection's opening and one call on it."""
    opening = PREFACE + frame(SETTINGS) + frame(HEADERS, head, flags=END_HEADERS, stream=stream)
    datas = [frame(DATA, body, stream=stream) for body in bodies]
    closing = frame(DATA, flags=END_STREAM, stream=stream) if end else b""
    return opening + b"".join(datas) + closing


def exchange(port: int, sent: bytes, *, last_word: bool = False) -> str:
    """What came back to these bytes: `answered` (a stream ended), `reset`, `goaway` or `closed`.
    With `last_word` the client then closes its side. Raises TimeoutError when the server says
    nothing and keeps the connection."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        try:
            connection.sendall(sent)
            if last_word:
                connection.shutdown(socket.SHUT_WR)
            return _outcome(connection)
        except ConnectionError:
            return "closed"


def _outcome(connection: socket.socket) -> str:
    stream = connection.makefile("rb")
    while len(head := stream.read(9)) == 9:
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream.read(length)
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            return "answered"
        if kind == RST:
            return "reset"
        if kind == GOAWAY:
            return "goaway"
    return "closed"
