"""Answers as HTTP writes them down. The head of the usual answer is made once for each length."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from modelserver.answers import Encoded

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE = b"connection: close\r\n"
# For HTTP/1.0, where a connection ends unless both sides say that it does not.
KEEP_ALIVE = b"connection: keep-alive\r\n"

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_OK = _STATUS_LINES[200]
_JSON = b"content-type: application/json\r\ncontent-length: "
_BINARY = b"content-type: application/octet-stream\r\ninference-header-content-length: "
_MAX_KNOWN = 4096
_known_heads: dict[int, bytes] = {}


class Answer(NamedTuple):
    """`fields` are whole lines of the head; `code` is a refusal's, for the telemetry. After an
    answer that is `last` the connection is of no use: what else it brings cannot be understood, or
    is not worth reading."""

    status: int
    body: bytes
    fields: bytes = b""
    code: str | None = None
    last: bool = False


def usual_head(length: int) -> bytes:
    """Of a 200 with so many bytes of JSON on a connection that stays open."""
    head = _known_heads.get(length)
    if head is None:
        head = b"%b%b%d\r\n\r\n" % (_OK, _JSON, length)
        if length < _MAX_KNOWN:
            _known_heads[length] = head
    return head


def plain(answer: Answer, *, connection: bytes, bodiless: bool) -> bytes:
    """The whole answer; `connection` is a line of the head or empty. An answer to HEAD says how
    long its body would be, and has none."""
    head = b"%b%b%d\r\n%b%b\r\n" % (
        *(_STATUS_LINES[answer.status], _JSON, len(answer.body), answer.fields, connection),
    )
    return head if bodiless else head + answer.body


def inference(encoded: Encoded, *, connection: bytes) -> Sequence[bytes | memoryview]:
    """The pieces of a prediction, to be written one after the other."""
    json, parts, json_length = encoded
    if json_length is None:
        return [b"%b%b%d\r\n%b\r\n" % (_OK, _JSON, len(json), connection), json]
    length = len(json) + sum(len(part) for part in parts)
    head = b"%b%b%d\r\ncontent-length: %d\r\n%b\r\n" % (
        *(_OK, _BINARY, json_length, length, connection),
    )
    return [head, json, *parts]
