"""
One error tree, split by whose fault it is.

ControlPlaneError
 ├─ Refused          the caller can fix it            -> 4xx, shown as it is
 │   ├─ Malformed    cannot be understood             -> 400
 │   ├─ NotSignedIn  nobody is there                  -> 401
 │   ├─ NotAllowed   somebody is, and may not         -> 403
 │   ├─ NotFound     absent, or invisible to them     -> 404
 │   ├─ Conflict     not in this state                -> 409
 │   ├─ Stale        changed since it was read        -> 412
 │   ├─ Precondition If-Match is missing              -> 428
 │   ├─ TooLarge     over a stated limit              -> 413
 │   ├─ TooMany      over a stated rate               -> 429
 │   └─ Invalid      understood and wrong             -> 422
 ├─ Unavailable      try again later                  -> 503, loops retry it
 └─ Broken           our fault                        -> 500, reported

Codes are stable and part of the API; sentences are for people and may change. No HTTP status
lives here: `controlplane.api` maps the classes, so that tasks and sockets can map them otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong place in a request: a JSON pointer, a stable code and a sentence."""

    pointer: str
    code: str
    detail: str


class ControlPlaneError(Exception):
    """`detail` is one sentence for people; `code` is for programs; `extra` goes into the answer."""

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something went wrong"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        problems: Sequence[FieldProblem] = (),
        help_text: str = "",
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.stable_code = code or self.code
        self.problems = tuple(problems)
        self.help_text = help_text
        self.extra = dict(extra or {})


class Refused(ControlPlaneError):
    code = "refused"
    title = "The request was refused"


class Malformed(Refused):
    code = "malformed"
    title = "The request cannot be understood"


class NotSignedIn(Refused):
    code = "auth:not-signed-in"
    title = "Sign in first"


class NotAllowed(Refused):
    code = "auth:not-allowed"
    title = "Not allowed"


class NotFound(Refused):
    code = "not-found"
    title = "Not found"


class Conflict(Refused):
    code = "conflict"
    title = "Not possible in this state"


class Stale(Refused):
    code = "stale"
    title = "Changed since you read it"


class Precondition(Refused):
    code = "precondition-required"
    title = "If-Match is missing"


class TooLarge(Refused):
    code = "too-large"
    title = "Too large"


class TooMany(Refused):
    code = "rate-limited"
    title = "Too many requests"


class Invalid(Refused):
    code = "invalid"
    title = "The request is not valid"


class Unavailable(ControlPlaneError):
    code = "unavailable"
    title = "Not available right now"


class Broken(ControlPlaneError):
    code = "broken"
    title = "An error on our side"
