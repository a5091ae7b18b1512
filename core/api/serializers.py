"""Input that is understood completely: an unknown field is an error, not something ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.settings import api_settings

from core.errors import Invalid

S = TypeVar("S", bound="StrictSerializer")


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know, with code `unknown_field` and a pointer to each."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = {name for name, field in self.fields.items() if not field.read_only}
            unknown = [name for name in data if name not in known]
            if unknown:
                problem = serializers.ErrorDetail("There is no such field.", code="unknown_field")
                raise serializers.ValidationError({str(name)[:100]: [problem] for name in unknown})
        return super().to_internal_value(data)


def validated(serializer_class: type[S], request: Request) -> dict[str, Any]:
    """The request's body, checked.

    Raises:
        Invalid: it is not an object, or some field is wrong, missing or unknown.
    """
    data = request.data
    if not isinstance(data, Mapping):
        raise Invalid("The body must be a JSON object.", code="invalid")
    serializer = serializer_class(data=data)
    serializer.is_valid(raise_exception=True)
    checked: dict[str, Any] = serializer.validated_data
    return checked


WHOLE_OBJECT = api_settings.NON_FIELD_ERRORS_KEY
