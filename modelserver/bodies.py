"""The bodies of requests that do not come in one piece with their head."""

from __future__ import annotations

from modelserver.errors import HeadTooLarge, TooLarge
from modelserver.heads import malformed

_MAX_CHUNK_LINE = 256
_MAX_TRAILERS = 8 * 1024
# Chunks may be small, but a body may not consist of nothing but the coding of chunks.
_FREE_CHUNKS = 4096
_BYTES_PER_CHUNK = 64


class Body:
    """One body on its way; `most` bounds one that comes in chunks. Kept in pieces until it is
    whole, or thrown away."""

    __slots__ = ("_chunks", "_pieces", "left", "received", "wanted")

    def __init__(self, length: int, *, chunked: bool, most: int) -> None:
        self.received = 0
        self.wanted = True
        self.left: int | None = None if chunked else length
        """Bytes that are still to come; None when only the end will tell."""
        self._pieces: list[bytes] = []
        self._chunks = Chunks(most, self._pieces) if chunked else None

    def take(self, data: bytes) -> bytes | None:
        """None while the body goes on, else what follows it. Raises Invalid or TooLarge."""
        self.received += len(data)
        if self._chunks is not None:
            after = self._chunks.take(data)
        else:
            after = self._counted(data, self.left or 0)
        if not self.wanted:
            self._pieces.clear()
        return after

    def whole(self) -> bytes:
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _counted(self, data: bytes, left: int) -> bytes | None:
        self.left = max(0, left - len(data))
        self._pieces.append(data[:left] if len(data) > left else data)
        return None if self.left else data[left:]


class Chunks:
    """The chunked coding, taken off strictly; what was in the chunks goes to `pieces`."""

    __slots__ = ("_count", "_left", "_most", "_pieces", "_rest", "_size", "_trailers")

    def __init__(self, most: int, pieces: list[bytes]) -> None:
        self._most = most
        self._pieces = pieces
        self._size = 0
        self._count = 0
        self._left = 0  # bytes of the open chunk, its line end included
        self._rest = b""  # the beginning of a line
        self._trailers = -1  # bytes of trailers; -1 before the last chunk

    def take(self, data: bytes) -> bytes | None:
        """None while the body goes on, else what follows it. Raises Invalid or TooLarge."""
        data, self._rest = self._rest + data, b""
        at = 0
        while True:
            if self._left:
                at = self._content(data, at)
                if self._left:
                    return None
            end = data.find(b"\n", at, at + _MAX_CHUNK_LINE)
            if end < 0:
                if len(data) - at >= _MAX_CHUNK_LINE:
                    raise malformed("has a chunk that does not say its size")
                self._rest = data[at:]
                return None
            line = data[at : end + 1]
            if line[-2:] != b"\r\n" or b"\r" in line[:-2]:
                raise malformed("has a line in its chunks that does not end in CRLF")
            at = end + 1
            if self._trailers < 0:
                self._begin(line[:-2])
            elif self._is_end(line):
                return data[at:]

    def _content(self, data: bytes, at: int) -> int:
        """Moves on to the end of the open chunk, or of the data."""
        taken = min(self._left, len(data) - at)
        plain = min(self._left - 2, taken)
        if plain > 0:
            self._pieces.append(data[at : at + plain])
        ending = data[at + max(plain, 0) : at + taken]
        expected = b"\r\n"[2 - min(self._left, 2) :]
        if not expected.startswith(ending):
            raise malformed("has a chunk of another size than it says")
        self._left -= taken
        return at + taken

    def _begin(self, line: bytes) -> None:
        digits = line.partition(b";")[0].rstrip(b" \t")
        if not 0 < len(digits) <= 8 or digits.strip(b"0123456789abcdefABCDEF"):
            raise malformed("has a chunk that does not say its size")
        size = int(digits, 16)
        if not size:
            self._trailers = 0
            return
        self._size += size
        self._count += 1
        if self._size > self._most:
            raise TooLarge("request:too-large", f"The body is larger than {self._most} bytes.")
        if self._count > _FREE_CHUNKS + self._size // _BYTES_PER_CHUNK:
            raise malformed("comes in chunks that are too small")
        self._left = size + 2

    def _is_end(self, line: bytes) -> bool:
        self._trailers += len(line)
        if self._trailers > _MAX_TRAILERS:
            raise HeadTooLarge("request:head-too-large", "The request has too many trailers.")
        return line == b"\r\n"
