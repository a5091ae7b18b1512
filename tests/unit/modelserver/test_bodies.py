"""Bodies that come in pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserver.bodies import Body
from modelserver.errors import Invalid, ModelServerError, TooLarge

MOST = 10_000
pieces = st.lists(st.binary(min_size=1, max_size=50), max_size=8)


def in_chunks(parts: list[bytes], trailer: bytes = b"", extension: bytes = b"") -> bytes:
    chunks = [b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts]
    return b"".join(chunks) + b"0\r\n" + trailer + b"\r\n"


def chunked() -> Body:
    return Body(0, chunked=True, most=MOST)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


def fed(body: Body, parts: list[bytes]) -> bytes | None:
    """What follows the body; the rest of the parts is taken for more of it."""
    for number, part in enumerate(parts):
        after = body.take(part)
        if after is not None:
            return after + b"".join(parts[number + 1 :])
    return None


@given(pieces, st.binary(max_size=20), st.lists(st.integers(0, 10**6), max_size=9))
def test_chunks_come_out_as_they_went_in_wherever_the_network_cuts(
    parts: list[bytes], following: bytes, cuts: list[int]
) -> None:
    body = chunked()
    assert fed(body, split(in_chunks(parts) + following, cuts)) == following
    assert body.whole() == b"".join(parts)


@given(st.binary(max_size=99), st.binary(max_size=20), st.lists(st.integers(0, 10**6), max_size=9))
def test_a_body_of_known_length_ends_there(
    content: bytes, following: bytes, cuts: list[int]
) -> None:
    body = Body(len(content), chunked=False, most=MOST)
    if content:
        assert fed(body, split(content + following, cuts)) == following
    assert body.whole() == content


@given(pieces, st.lists(st.integers(0, 10**6), max_size=9))
def test_a_body_that_is_not_wanted_ends_at_the_same_place(
    parts: list[bytes], cuts: list[int]
) -> None:
    body = chunked()
    body.wanted = False
    assert fed(body, split(in_chunks(parts) + b"next", cuts)) == b"next"
    assert body.whole() == b""


def test_extensions_and_trailers_are_read_over() -> None:
    body = chunked()
    coded = in_chunks([b"abc", b"d"], trailer=b"X-Sum: 1\r\nY: 2\r\n", extension=b";name=value")
    assert fed(body, [coded]) == b""
    assert body.whole() == b"abcd"


@pytest.mark.parametrize(
    "coded",
    [
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabc0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nab\r\n0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"3_0\r\nabc\r\n0\r\n\r\n",
        b"\r\n",
        b";a=b\r\nabc\r\n0\r\n\r\n",
        b"3;a\rb\r\nabc\r\n0\r\n\r\n",
        b"3;a\nb\r\nabc\r\n0\r\n\r\n",
        b"0000000003\r\nabc\r\n0\r\n\r\n",
        b"ffffffffffffffff\r\nabc",
        b"x" * 300,
        b"3;" + b"a" * 300,
        b"0\r\nX: 1\n\r\n",
        b"0\r\n" + b"X: 1\r\n" * 2000,
    ],
)
def test_chunks_that_two_readers_could_read_differently_are_refused(coded: bytes) -> None:
    for parts in ([coded], [coded[i : i + 1] for i in range(len(coded))]):
        with pytest.raises(ModelServerError):
            fed(chunked(), parts)


def test_a_body_is_not_read_beyond_its_limit() -> None:
    with pytest.raises(TooLarge):
        fed(chunked(), [b"%x\r\n" % (MOST + 1)])
    with pytest.raises(TooLarge):
        fed(chunked(), [in_chunks([b"a" * 6000, b"b" * 6000])])


def test_a_body_may_not_consist_of_the_coding_of_chunks() -> None:
    body = Body(0, chunked=True, most=10**9)
    with pytest.raises(Invalid):
        fed(body, [b"1\r\na\r\n" * 5000])
