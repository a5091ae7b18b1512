"""JSON, read strictly: garbage is refused as garbage and never reaches a handler."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import BaseParser

from core.errors import Malformed, TooLarge

MAX_DEPTH = 40


class StrictJSONParser(BaseParser):
    """One UTF-8 JSON value without duplicate names, NaN, halves of characters, or nesting beyond
    `MAX_DEPTH`."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise TooLarge(f"A JSON body here has {limit} bytes at most.")
        try:
            value = json.loads(
                raw.decode("utf-8"),
                parse_constant=_refuse_constant,
                object_pairs_hook=_without_duplicates,
            )
        except (ValueError, RecursionError) as problem:
            raise Malformed(
                f"The body is not JSON: {str(problem)[:200]}.", code="invalid_json"
            ) from problem
        if _deeper_than(value, MAX_DEPTH):
            raise Malformed(
                f"The body is nested deeper than {MAX_DEPTH} levels.", code="invalid_json"
            )
        if b"\\ud" in raw.lower() and not _is_text(value):
            raise Malformed("The body holds half of a character (\\ud800).", code="invalid_json")
        return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return found


def _is_text(value: Any) -> bool:
    """False with a lone surrogate anywhere, names included: it could be neither stored nor told
    back in a refusal."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _deeper_than(value: Any, levels: int) -> bool:
    front = [value]
    for _ in range(levels):
        front = [
            item
            for outer in front
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not front:
            return False
    return True
