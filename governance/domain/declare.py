"""Entry points say what they do. A test walks all of them and fails for one that does not.

API views: `actions = {"GET": "model.read"}`. Functions (page views, Celery tasks): `@declares(…)`.
Classes (consumers, management commands, class-based page views): `action = "…"`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from core.errors import Broken
from governance.domain.catalogue import is_declarable

F = TypeVar("F", bound=Callable[..., Any])

ATTRIBUTE = "action"


def declares(action: str) -> Callable[[F], F]:
    """Mark a function with the action that it does. Allowing it is still `authorize`'s work."""
    if not is_declarable(action):
        raise Broken(f"The action {action!r} is not in the catalogue.")

    def mark(function: F) -> F:
        setattr(function, ATTRIBUTE, action)
        return function

    return mark
