"""Endpoint keys: what state one is in, and the bounds of what one may be given."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum

DEFAULT_DAYS = 90
MAX_DAYS = 365
DEFAULT_OVERLAP_HOURS = 24.0
MAX_OVERLAP_HOURS = 168.0
LONGEST_NAME = 60
MAX_ENDPOINTS = 100
# What both databases count in a column of this kind.
MAX_LIMIT = 2**31 - 1
# From here on a page says that a key should be rotated.
EXPIRES_SOON = timedelta(days=7)


class KeyState(StrEnum):
    """The one word for a key: what ended it, else what it lacks. `EXPIRING` and `EXHAUSTED` keys
    are in force; the latter is refused for the rest of the day where it was used up."""

    ACTIVE = "active"
    EXPIRING = "expiring"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"
    REVOKED = "revoked"


IN_FORCE = (KeyState.ACTIVE, KeyState.EXPIRING, KeyState.EXHAUSTED)


def is_used_up(used: int, requests_per_day: int | None) -> bool:
    return requests_per_day is not None and used >= requests_per_day


def next_day(now: datetime) -> datetime:
    """When requests per day begin to be counted anew: midnight, UTC."""
    tomorrow = now.astimezone(UTC).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), UTC)


def problem_with_name(name: str) -> str | None:
    """What is wrong with the name of a key, as a sentence. It is for people, not for addresses."""
    printable = all(unicodedata.category(each)[0] != "C" for each in name)
    if 1 <= len(name) <= LONGEST_NAME and name == name.strip() and printable:
        return None
    return f"A name has 1 to {LONGEST_NAME} printable characters, and no space around them."
