"""What the use-cases of the registry and of environments share."""

from __future__ import annotations

from typing import Any

from django.db import models

from core.concurrency import compare_and_set
from core.errors import FieldProblem, Invalid, Stale


def write(row: models.Model, revision: int, **new: Any) -> None:
    """Write `new` if the row still is at `revision`, and load it again.

    Raises:
        Stale: somebody else changed it since the caller read it.
    """
    if not compare_and_set(row, revision=revision, **new):
        raise Stale("Somebody has changed this since you read it; read it again.")
    row.refresh_from_db()


def wrong(field: str, code: str, sentence: str, *, help_text: str = "") -> Invalid:
    """One wrong field of a request; `help_text` says what to do next."""
    problem = FieldProblem(f"/{field}", code, sentence)
    return Invalid(sentence, code=code, problems=[problem], help_text=help_text)


def require_name(problem: str | None, field: str = "name") -> None:
    """Raises Invalid with the sentence of `deployments.domain.naming`, when there is one."""
    if problem is not None:
        raise wrong(field, "invalid_name", problem)
