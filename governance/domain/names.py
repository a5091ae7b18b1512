"""Names that become part of addresses."""

from __future__ import annotations

import re

from core.errors import FieldProblem, Invalid

PATTERN = r"^[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?$"
MAX_LENGTH = 60
_SLUG = re.compile(PATTERN)


def require_slug(name: str, *, what: str) -> None:
    """
    Raises:
        Invalid: `name` is not lower-case letters, digits and inner hyphens, 60 at most.
    """
    if not _SLUG.fullmatch(name):
        sentence = (
            f"The name of a {what} is lower-case letters, digits and hyphens between them, "
            f"{MAX_LENGTH} at most."
        )
        problem = FieldProblem("/name", "invalid_name", sentence)
        raise Invalid(sentence, code="invalid_name", problems=[problem])
