"""ULIDs: 26 characters of Crockford's base 32, sortable by time, shown with a prefix."""

from __future__ import annotations

import re
import secrets
import threading
import time
from datetime import UTC, datetime

from core.errors import NotFound

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PATTERN = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_RANDOM_BITS = 80

_lock = threading.Lock()
_last: tuple[int, int] = (0, 0)


def new_ulid() -> str:
    """A new id. Within one process ids made later also sort later, even in one millisecond."""
    global _last
    with _lock:
        milliseconds = time.time_ns() // 1_000_000
        last_milliseconds, last_random = _last
        if milliseconds <= last_milliseconds:
            milliseconds, random = last_milliseconds, last_random + 1
            if random >> _RANDOM_BITS:
                milliseconds, random = milliseconds + 1, secrets.randbits(_RANDOM_BITS - 1)
        else:
            random = secrets.randbits(_RANDOM_BITS - 1)
        _last = (milliseconds, random)
    value = (milliseconds << _RANDOM_BITS) | random
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


def is_ulid(text: str) -> bool:
    return bool(_PATTERN.fullmatch(text))


def made_at(ulid: str) -> datetime:
    """The moment inside the id, to the millisecond, in UTC."""
    milliseconds = 0
    for character in ulid[:10]:
        milliseconds = milliseconds * 32 + _ALPHABET.index(character)
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def public(prefix: str, ulid: str) -> str:
    return f"{prefix}_{ulid}"


def parse(public_id: str, prefix: str) -> str:
    """The ULID inside `public_id`.

    Raises:
        NotFound: it has another prefix or is no ULID; such a thing cannot exist.
    """
    head, _, ulid = public_id.rpartition("_")
    if head != prefix or not is_ulid(ulid.upper()):
        raise NotFound(f"There is no {public_id[:80]!r} here.")
    return ulid.upper()
