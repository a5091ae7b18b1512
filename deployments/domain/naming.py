"""What things may be called. Names are parts of addresses and of gateway routes."""

from __future__ import annotations

import re

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_RESERVED = frozenset({"versions", "ready", "infer", "health", "live", "models", "new", "none"})
LONGEST = 60
FORM = (
    "A name has lower-case letters, digits and hyphens, and begins and ends with a letter or a"
    " digit."
)


def problem_with(name: str, *, longest: int = LONGEST) -> str | None:
    """Why this cannot be a name, as a sentence; None if it can."""
    if len(name) > longest:
        return f"A name has at most {longest} characters."
    if not _NAME.fullmatch(name):
        return FORM
    if name in _RESERVED:
        return f"The name {name!r} is reserved."
    return None


def problem_with_alias(name: str) -> str | None:
    """An alias stands where a version's number may stand, so it is never a number."""
    if name.isdigit():
        return "An alias is no number: numbers name versions."
    return problem_with(name)
