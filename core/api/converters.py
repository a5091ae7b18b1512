"""Path converters: an address whose ids cannot exist matches nothing, and is simply not found."""

from __future__ import annotations

from django.urls import register_converter


class PublicId:
    """A prefixed ULID, such as `rol_01J…`. Which prefix is the view's business."""

    regex = "[a-z]{2,6}_[0-7][0-9A-HJKMNP-TV-Z]{25}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class Number:
    """A positive number that fits the column."""

    regex = "[1-9][0-9]{0,8}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


def register() -> None:
    """Make `<pid:…>` and `<number:…>` usable in addresses."""
    register_converter(PublicId, "pid")
    register_converter(Number, "number")
