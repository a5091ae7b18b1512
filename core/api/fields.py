"""Fields that take what they say they take: DRF's would turn 5 into "5" and "yes" into true."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

_EXACT = 2**53 - 1


class Text(serializers.CharField):
    """A JSON string, without NUL and lone surrogates, and not stripped."""

    default_error_messages: ClassVar = {"not_text": "This must be a string."}

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("trim_whitespace", False)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("not_text")
        return str(super().to_internal_value(data))


class Whole(serializers.IntegerField):
    """A JSON integer that every reader reads alike."""

    default_error_messages: ClassVar = {"not_whole": "This must be an integer."}

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("min_value", -_EXACT)
        kwargs.setdefault("max_value", _EXACT)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, float) and data.is_integer() and abs(data) <= _EXACT:
            data = int(data)  # JSON knows one kind of number: 5.0 is 5
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("not_whole")
        return int(data)


class Number(serializers.FloatField):
    """A finite JSON number."""

    default_error_messages: ClassVar = {"not_number": "This must be a number."}

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("not_number")
        try:
            value = float(data)
        except OverflowError:
            self.fail("not_number")
        if value in (float("inf"), float("-inf")):
            self.fail("not_number")
        return value


class Truth(serializers.BooleanField):
    """true or false."""

    default_error_messages: ClassVar = {"not_truth": "This must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("not_truth")
        return data


class OneOf(serializers.ChoiceField):
    """One of some strings."""

    default_error_messages: ClassVar = {"not_text": "This must be a string."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("not_text")
        return str(super().to_internal_value(data))


class JSONObject(serializers.JSONField):
    """Any JSON object that both databases can keep: no NUL, no lone surrogate, no huge integer."""

    default_error_messages: ClassVar = {
        "not_object": "This must be an object.",
        "not_storable": "This holds text or a number that cannot be stored.",
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("not_object")
        if not _storable(data):
            self.fail("not_storable")
        return data


def _storable(value: Any) -> bool:
    match value:
        case None | bool():
            return True
        case str():
            return "\x00" not in value and not any("\ud800" <= c <= "\udfff" for c in value)
        case int():
            return abs(value) <= _EXACT
        case float():
            return value - value == 0  # neither NaN nor infinite
        case dict():
            return all(_storable(name) and _storable(item) for name, item in value.items())
        case list():
            return all(_storable(item) for item in value)
    return False
