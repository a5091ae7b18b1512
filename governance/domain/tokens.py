"""API tokens as text: `slw_<8>_<43 base62>_<6 CRC32 base62>`.

The prefix lets secret scanners find them, the checksum lets us refuse a mistyped one without
asking the database, the underscores let a double click select the whole.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from dataclasses import dataclass

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_BITS = 256
_LOOKUP_CHARACTERS = 8
_SECRET_CHARACTERS = 43
_CHECK_CHARACTERS = 6
_FORM = re.compile(r"slw_([0-9A-Za-z]{8})_([0-9A-Za-z]{43})_([0-9A-Za-z]{6})")


@dataclass(frozen=True, slots=True)
class TokenText:
    """`lookup` finds the row, `digest` proves the whole."""

    text: str
    lookup: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def generate() -> TokenText:
    """A new token with 256 random bits."""
    lookup = "".join(secrets.choice(_BASE62) for _ in range(_LOOKUP_CHARACTERS))
    secret = _base62(secrets.randbits(_SECRET_BITS), _SECRET_CHARACTERS)
    head = f"slw_{lookup}_{secret}"
    return TokenText(f"{head}_{_checksum(head)}", lookup)


def parse(text: str) -> TokenText | None:
    """The token in `text`, or None when no token looks like that."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    head, _, check = text.rpartition("_")
    return TokenText(text, match[1]) if check == _checksum(head) else None


def _checksum(head: str) -> str:
    return _base62(zlib.crc32(head.encode()), _CHECK_CHARACTERS)


def _base62(number: int, width: int) -> str:
    letters = []
    for _ in range(width):
        number, letter = divmod(number, 62)
        letters.append(_BASE62[letter])
    return "".join(reversed(letters))
