from __future__ import annotations

import hashlib
import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import envelope
from wire.envelope import CHUNK, HEADER_BYTES, TAG_BYTES
from wire.errors import Unreadable

KEY = bytes(range(32))
# Around every edge: nothing, one byte, one chunk and its neighbours, several chunks.
SIZES = [0, 1, 15, 16, 17, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, 3 * CHUNK - 1]
_CONTENT = os.urandom(3 * CHUNK)


class Trickle(io.BytesIO):
    """Gives less than it is asked for, as a pipe does."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 70_001))


def digest_of(plain: bytes) -> str:
    return f"sha256:{hashlib.sha256(plain).hexdigest()}"


def sealed(plain: bytes, key: bytes = KEY) -> bytes:
    into = io.BytesIO()
    envelope.encrypt(io.BytesIO(plain), into, key, digest=digest_of(plain))
    return into.getvalue()


def opened(blob: bytes, plain: bytes, key: bytes = KEY) -> bytes:
    return envelope.decrypt_bytes(io.BytesIO(blob), key, digest=digest_of(plain))


def refusal(blob: bytes, plain: bytes, key: bytes = KEY) -> str:
    with pytest.raises(Unreadable) as caught:
        opened(blob, plain, key)
    return caught.value.code


def chunks(blob: bytes) -> list[bytes]:
    step = CHUNK + TAG_BYTES
    return [blob[at : at + step] for at in range(HEADER_BYTES, len(blob), step)]


@pytest.mark.parametrize("size", SIZES)
def test_what_was_sealed_comes_out_again_whatever_its_size(size: int) -> None:
    plain = _CONTENT[:size]
    assert opened(sealed(plain), plain) == plain


@pytest.mark.parametrize("size", SIZES)
def test_an_envelope_is_as_long_as_its_chunks_and_tags(size: int) -> None:
    blob = sealed(_CONTENT[:size])
    assert len(blob) == HEADER_BYTES + size + TAG_BYTES * max(1, -(-size // CHUNK))


@pytest.mark.parametrize("size", [CHUNK, 2 * CHUNK + 1])
def test_sources_that_give_little_at_a_time_make_no_difference(size: int) -> None:
    plain = _CONTENT[:size]
    into = io.BytesIO()
    written = envelope.encrypt(Trickle(plain), into, KEY, digest=digest_of(plain))
    blob = into.getvalue()
    assert envelope.decrypt_bytes(Trickle(blob), KEY, digest=digest_of(plain)) == plain
    assert written == envelope.Written(digest_of(blob), len(blob))


def test_the_same_artifact_never_makes_the_same_envelope_twice() -> None:
    assert sealed(b"model") != sealed(b"model")


def test_the_plain_bytes_do_not_show() -> None:
    plain = b"a tell-tale string of the model" * 100
    blob = sealed(plain)
    assert plain[:31] not in blob
    assert digest_of(plain).encode() not in blob


@pytest.mark.parametrize("size", [0, 1, CHUNK, 2 * CHUNK, 2 * CHUNK + 1])
def test_a_cut_off_envelope_is_refused_wherever_it_was_cut(size: int) -> None:
    plain = _CONTENT[:size]
    blob = sealed(plain)
    ends = {0, 1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 1, len(blob) - 1}
    ends |= {HEADER_BYTES + sum(map(len, chunks(blob)[:count])) for count in range(4)}
    for end in {end for end in ends if end < len(blob)}:
        assert refusal(blob[:end], plain) in {"envelope:not-one", "envelope:altered"}, end


def test_whole_chunks_that_are_missing_swapped_repeated_or_added_are_noticed() -> None:
    plain = _CONTENT
    blob = sealed(plain)
    head, (a, b, c) = blob[:HEADER_BYTES], chunks(blob)
    for wrong in ([b, a, c], [a, c, b], [a, a, b, c], [a, c], [b, c], [a, b], [a, b, c, c], [c]):
        assert refusal(head + b"".join(wrong), plain) == "envelope:altered"


def test_a_chunk_of_another_envelope_of_the_same_artifact_and_key_is_noticed() -> None:
    plain = _CONTENT
    one, other = sealed(plain), sealed(plain)
    mixed = one[:HEADER_BYTES] + chunks(other)[0] + b"".join(chunks(one)[1:])
    assert refusal(mixed, plain) == "envelope:altered"


def test_an_artifact_is_not_taken_for_another_one() -> None:
    blob = sealed(b"one model")
    assert refusal(blob, b"another model") == "envelope:altered"


def test_another_key_opens_nothing() -> None:
    assert refusal(sealed(b"model"), b"model", envelope.new_key()) == "envelope:altered"


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    assert refusal(sealed(b"model"), b"model", bytes(length)) == "envelope:bad-key"


@pytest.mark.parametrize("blob", [b"", b"SLWE", b"\x08\x07onnx and so on", b"SLWF\x01" + bytes(60)])
def test_what_is_no_envelope_is_called_that(blob: bytes) -> None:
    assert refusal(blob, b"model") == "envelope:not-one"
    assert not envelope.is_envelope(b"\x08\x07")


def test_a_format_of_the_future_is_not_guessed_at() -> None:
    blob = bytearray(sealed(b"model"))
    blob[4] = 2
    assert refusal(bytes(blob), b"model") == "envelope:unsupported-format"


def test_sealing_under_a_wrong_digest_is_refused() -> None:
    with pytest.raises(Unreadable) as caught:
        envelope.encrypt(io.BytesIO(b"a"), io.BytesIO(), KEY, digest=digest_of(b"b"))
    assert caught.value.code == "envelope:wrong-digest"


def test_a_sealer_with_the_key_cannot_pass_other_bytes_under_a_digest() -> None:
    """Only the key's holder could make this one, and still the digest is compared."""
    promised, actual = digest_of(b"approved"), b"something else"
    into = io.BytesIO()
    with pytest.raises(Unreadable):
        envelope.encrypt(io.BytesIO(actual), into, KEY, digest=promised)
    with pytest.raises(Unreadable) as caught:
        envelope.decrypt_bytes(io.BytesIO(into.getvalue()), KEY, digest=promised)
    assert caught.value.code == "envelope:wrong-digest"


@given(plain=st.binary(max_size=300), key=st.binary(min_size=32, max_size=32))
def test_any_bytes_come_out_as_they_went_in(plain: bytes, key: bytes) -> None:
    assert opened(sealed(plain, key), plain, key) == plain


@given(plain=st.binary(max_size=300), at=st.integers(min_value=0), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(plain: bytes, at: int, bit: int) -> None:
    blob = bytearray(sealed(plain))
    blob[at % len(blob)] ^= 1 << bit
    assert refusal(bytes(blob), plain).startswith("envelope:")


@given(at=st.integers(0, 2 * CHUNK + 100), bit=st.integers(0, 7))
def test_a_flipped_bit_in_a_later_chunk_is_noticed_too(at: int, bit: int) -> None:
    blob = bytearray(_LONG)
    blob[at] ^= 1 << bit
    assert refusal(bytes(blob), _CONTENT[: 2 * CHUNK + 60]).startswith("envelope:")


@given(noise=st.binary(max_size=200))
def test_noise_is_refused_and_never_crashes(noise: bytes) -> None:
    assert refusal(noise, b"model").startswith("envelope:")
    assert refusal(b"SLWE\x01" + noise, b"model").startswith("envelope:")


_LONG = sealed(_CONTENT[: 2 * CHUNK + 60])
