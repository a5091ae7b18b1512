"""Every address of the API, with something in place of what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver, reverse
from rest_framework.views import APIView

from governance.api.permissions import declared

_PLACEHOLDERS: dict[str, Any] = {
    "PublicId": "tok_01J00000000000000000000000",
    "Number": 1,
    "SlugConverter": "nothing",
    "StringConverter": "nothing",
    "IntConverter": 1,
}


@dataclass(frozen=True, slots=True)
class Route:
    """`path` is below /api/v1."""

    method: str
    path: str
    action: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _patterns(resolver: Any, prefix: str) -> Iterator[tuple[str, URLPattern]]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from _patterns(entry, prefix + str(entry.pattern))
        elif prefix.startswith("api/v1/"):
            yield prefix, entry


def routes() -> list[Route]:
    found = []
    for _, pattern in _patterns(get_resolver(), ""):
        view = getattr(pattern.callback, "cls", None)
        if not (isinstance(view, type) and issubclass(view, APIView)):
            continue
        arguments = {
            name: _PLACEHOLDERS[type(converter).__name__]
            for name, converter in pattern.pattern.converters.items()
        }
        path = reverse(pattern.callback, kwargs=arguments) if not pattern.name else None
        path = path or reverse(pattern.name or "", kwargs=arguments)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            action = declared(view, method)
            if action is not None:
                found.append(Route(method, path.removeprefix("/api/v1"), action))
    return found
