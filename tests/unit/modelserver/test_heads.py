"""Heads of requests: what is read, and what two readers could read differently."""

from __future__ import annotations

import pytest

from modelserver.errors import HeadTooLarge, Invalid
from modelserver.heads import MAX_FIELDS, Head
from wire.identity import Role


def read(*lines: str | bytes, first: str | bytes = "POST /x HTTP/1.1", host: bool = True) -> Head:
    raw = [first, *(["Host: replica"] if host else []), *lines, "", ""]
    head = Head(Role.GATEWAY)
    head.read(b"\r\n".join(x.encode() if isinstance(x, str) else x for x in raw), 0.0)
    return head


def test_fields_are_found_however_they_are_spelled() -> None:
    head = read("cOnTeNt-TyPe: a/b", "x-SLIPWAY-key: key_1", "Content-Length: 12")
    assert head.fields[b"content-type"] == b"a/b"
    assert head.fields[b"x-slipway-key"] == b"key_1"
    assert (head.method, head.url, head.length, head.chunked) == (b"POST", b"/x", 12, False)


def test_one_head_is_read_after_the_other() -> None:
    head = Head(Role.GATEWAY)
    for number in range(1, 4):
        raw = f"POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: {number}\r\n\r\n"
        head.read(raw.encode(), 0.0)
        assert (head.url, head.length) == (f"/{number}".encode(), number)
        if number % 2:
            head.skip(b"x" * number)
        else:
            head.restart()


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
        ["Content-Length: 5", "Content-Length: 5"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: 5, 5"],
        ["Content-Length: +5"],
        ["Content-Length: -5"],
        ["Content-Length: 0x5"],
        ["Content-Length:"],
        ["Content-Length: 99999999999999999999999"],
        ["Transfer-Encoding: gzip"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding: \x0bchunked"],
        ["Transfer-Encoding : chunked"],
        ["Transfer-Encoding:", " chunked"],
        ["X: a", " folded"],
        [" X: a"],
        ["X: a\nY: b"],
        ["X: a\rY: b"],
        ["X: a\x00b"],
        ["X"],
        [": a"],
        ["Content-Type: a/b", "content-type: a/c"],
        ["x-slipway-key: key_1", "X-Slipway-Key: key_2"],
        ["authorization: Bearer a", "authorization: Bearer b"],
        ["Host: other"],
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(lines: list[str]) -> None:
    with pytest.raises(Invalid) as refusal:
        read(*lines)
    assert refusal.value.code == "request:malformed"


@pytest.mark.parametrize(
    "first",
    [
        *("GET / HTTP/2.0", "GET / HTTP/0.9", "GET /", "GET / HTTP/1.10", "GET / http/1.1"),
        *("get / HTTP/1.1", "BREW / HTTP/1.1", "GET /a b HTTP/1.1", "PRI * HTTP/2.0"),
        *("GET / RTSP/1.0", "SOURCE / ICE/1.0", b"GET /\xe9 HTTP/1.1", b"GET /\x01 HTTP/1.1"),
        *("\x16\x03\x01\x02\x00\x01", ""),
    ],
)
def test_what_is_not_http_1_is_refused(first: str | bytes) -> None:
    with pytest.raises(Invalid):
        read(first=first)


def test_a_request_says_whom_it_is_for() -> None:
    with pytest.raises(Invalid, match="no Host"):
        read(host=False)
    assert read(first="GET / HTTP/1.0", host=False).legacy


def test_there_are_only_so_many_fields() -> None:
    read(*(f"X-{number}: a" for number in range(MAX_FIELDS - 1)))
    with pytest.raises(HeadTooLarge):
        read(*(f"X-{number}: a" for number in range(MAX_FIELDS + 1)))


@pytest.mark.parametrize(
    ("version", "lines", "kept"),
    [
        ("1.1", [], True),
        ("1.1", ["Connection: close"], False),
        ("1.1", ["Connection: x, Close"], False),
        ("1.1", ["Connection: x", "Connection: close"], False),
        ("1.1", ["Connection: keep-alive"], True),
        ("1.1", ["Connection: Upgrade", "Upgrade: h2c"], False),
        ("1.0", [], False),
        ("1.0", ["Connection: Keep-Alive"], True),
        ("1.0", ["Connection: keep-alive, close"], False),
    ],
)
def test_a_connection_is_kept_unless_someone_says_otherwise(
    version: str, lines: list[str], kept: bool
) -> None:
    assert read(*lines, first=f"GET / HTTP/{version}").keep_alive is kept


def test_an_offer_of_another_protocol_is_not_taken_up_and_does_no_harm() -> None:
    head = read("Connection: Upgrade", "Upgrade: h2c", "Content-Length: 3")
    assert (head.method, head.length, head.keep_alive) == (b"POST", 3, False)
    head.skip(b"abc")
    head.read(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0.0)
    assert head.method == b"GET"


def test_a_client_may_ask_before_it_sends() -> None:
    assert read("Expect: 100-Continue").expects
    assert not read("Expect: something").expects
    assert not read("Expect: 100-continue", first="POST / HTTP/1.0").expects
