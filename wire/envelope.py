"""The form in which artifacts are stored, shipped and put into images: encrypted in chunks.

    header   magic (4 bytes), format (1), nonce prefix (7, random for each envelope)
    chunk    1 MiB of plain bytes (the last one may be shorter) encrypted by AES-256-GCM, and 16
             bytes of tag

A chunk's nonce is the prefix, its number (4 bytes) and one byte that is 1 for the last chunk. What
is authenticated with each chunk is the header and the digest of the plain bytes. So a chunk that is
changed, left out, repeated, swapped or taken from another envelope is noticed, a file that was cut
off has no last chunk, and one artifact is never taken for another.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wire.errors import Unreadable

KEY_BYTES = 32
CHUNK = 1024 * 1024

_MAGIC = b"SLWE"
_FORMAT = 1
_PREFIX_BYTES = 7
HEADER_BYTES = len(_MAGIC) + 1 + _PREFIX_BYTES
TAG_BYTES = 16


class Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Into(Protocol):
    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Written:
    """What an encryption wrote: digest and size of the whole envelope."""

    digest: str
    size: int


def new_key() -> bytes:
    return AESGCM.generate_key(KEY_BYTES * 8)


def encrypt(source: Source, into: Into, key: bytes, *, digest: str) -> Written:
    """Write what is left of `source`, whose SHA-256 is `digest`, to `into` as an envelope. Raises
    like `pieces`; the caller then throws away what was written."""
    sealed, size = hashlib.sha256(), 0
    for piece in pieces(source, key, digest=digest):
        into.write(piece)
        sealed.update(piece)
        size += len(piece)
    return Written(f"sha256:{sealed.hexdigest()}", size)


def pieces(source: Source, key: bytes, *, digest: str) -> Iterator[bytes]:
    """The envelope, piece by piece; two chunks are in memory. A key encrypts one artifact, though
    any number of times.

    Raises:
        Unreadable: `envelope:bad-key`, or `envelope:wrong-digest` after the last piece.
    """
    cipher = _cipher(key)
    header = _MAGIC + bytes([_FORMAT]) + os.urandom(_PREFIX_BYTES)
    yield header
    plain = hashlib.sha256()
    for number, chunk, last in _chunks(source, CHUNK):
        plain.update(chunk)
        yield cipher.encrypt(_nonce(header, number, last), chunk, _bound_to(header, digest))
    _require_digest(plain.hexdigest(), digest)


def decrypt(source: Source, into: Into, key: bytes, *, digest: str) -> int:
    """Write the plain bytes of the envelope in `source` to `into`; how many there were.

    Every chunk is authentic before it is written, but whether all of them came is known at the
    end only: what was written is worth nothing if this raises.

    Raises:
        Unreadable: `envelope:not-one`, `envelope:unsupported-format`, `envelope:bad-key`,
            `envelope:altered` (altered, cut off, another artifact's, or not of this key) or
            `envelope:wrong-digest`.
    """
    cipher = _cipher(key)
    header = _header(source)
    plain, size = hashlib.sha256(), 0
    for number, piece, last in _chunks(source, CHUNK + TAG_BYTES):
        try:
            chunk = cipher.decrypt(_nonce(header, number, last), piece, _bound_to(header, digest))
        except InvalidTag:
            raise Unreadable(
                "envelope:altered",
                "The encrypted artifact was altered or cut off, or the key is not its own.",
            ) from None
        plain.update(chunk)
        into.write(chunk)
        size += len(chunk)
    _require_digest(plain.hexdigest(), digest)
    return size


def decrypt_bytes(source: Source, key: bytes, *, digest: str) -> bytes:
    """The plain bytes, in memory only and held once. Raises like `decrypt`."""
    plain = io.BytesIO()
    decrypt(source, plain, key, digest=digest)
    return plain.getvalue()


def is_envelope(head: bytes) -> bool:
    """Whether a file that begins like this is an envelope of any format."""
    return head.startswith(_MAGIC)


def _cipher(key: bytes) -> AESGCM:
    if len(key) != KEY_BYTES:
        raise Unreadable("envelope:bad-key", f"The key of an artifact has {KEY_BYTES} bytes.")
    return AESGCM(key)


def _header(source: Source) -> bytes:
    header = _read(source, HEADER_BYTES)
    if len(header) < HEADER_BYTES or not is_envelope(header):
        raise Unreadable("envelope:not-one", "The file is not an encrypted artifact.")
    if header[len(_MAGIC)] != _FORMAT:
        raise Unreadable(
            "envelope:unsupported-format", f"Only encrypted artifacts of format {_FORMAT} are read."
        )
    return header


def _nonce(header: bytes, number: int, last: bool) -> bytes:
    # An artifact of 4 PiB would have a number too large for its four bytes: OverflowError.
    return header[-_PREFIX_BYTES:] + number.to_bytes(4, "big") + bytes([last])


def _bound_to(header: bytes, digest: str) -> bytes:
    return header + digest.encode()


def _chunks(source: Source, size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Number, bytes, and whether it is the last. An empty source has one empty chunk."""
    number, chunk = 0, _read(source, size)
    while True:
        following = _read(source, size) if len(chunk) == size else b""
        yield number, chunk, not following
        if not following:
            return
        number, chunk = number + 1, following


def _read(source: Source, size: int) -> bytes:
    """`size` bytes unless the source ends before; one read may give fewer than asked for."""
    first = source.read(size)
    if len(first) == size or not first:
        return first
    pieces = [first]
    missing = size - len(first)
    while missing and (piece := source.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _require_digest(found: str, digest: str) -> None:
    if f"sha256:{found}" != digest:
        raise Unreadable(
            "envelope:wrong-digest",
            f"The artifact's digest is sha256:{found} and not {digest}.",
        )
