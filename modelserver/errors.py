"""What can go wrong, split by whose fault it is.

ModelServerError
 ├─ Refused             the caller can fix it
 │   ├─ Invalid           the request is not what the protocol or the signature asks for
 │   ├─ NotFound          no such path, model or version here
 │   ├─ NotAllowed        the path exists, the method does not
 │   ├─ TooLarge          the body is over the limit
 │   ├─ TooSlow           the body did not arrive in time
 │   ├─ HeadTooLarge      the header fields are over the limit
 │   ├─ NotReadable       the body is in a form that is not read here
 │   ├─ Unknown           the caller did not show the right token
 │   └─ Forbidden         the caller is known and may not
 ├─ Unavailable         try again after `retry_after` seconds
 │   ├─ NotReady          the model is still loading
 │   └─ Busy              too many inferences are waiting
 ├─ Broken              our fault or the model's
 │   └─ ModelFailed       the model failed on an input that fits its signature
 │       └─ NotFinite       it answered NaN or infinity: Invalid as well
 └─ LoadFailed          the model cannot be served at all: a sentence for the person who made it

`code` is stable and for programs; `message` is a sentence that names no internals. How an error
looks on HTTP is `modelserver.http`'s business.
"""

from __future__ import annotations


class ModelServerError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Refused(ModelServerError):
    pass


class Invalid(Refused):
    pass


class NotFound(Refused):
    pass


class NotAllowed(Refused):
    def __init__(self, code: str, message: str, *, allowed: str) -> None:
        super().__init__(code, message)
        self.allowed = allowed


class TooLarge(Refused):
    pass


class TooSlow(Refused):
    pass


class HeadTooLarge(Refused):
    pass


class NotReadable(Refused):
    pass


class Unknown(Refused):
    pass


class Forbidden(Refused):
    pass


class Unavailable(ModelServerError):
    def __init__(self, code: str, message: str, *, retry_after: int = 1) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after


class NotReady(Unavailable):
    pass


class Busy(Unavailable):
    pass


class Broken(ModelServerError):
    pass


class ModelFailed(Broken):
    pass


class NotFinite(Invalid, ModelFailed):
    """Numbers that are valid, and so large that the model's arithmetic has no answer to them. Who
    sends them is refused: nobody may make a sound release look broken by what they ask. Where a
    model is tried, before anybody asks it, it is the model that fails."""


class LoadFailed(ModelServerError):
    pass


def shown(value: object, longest: int = 60) -> str:
    """Something of the caller's as it may appear in a message: quoted and short."""
    text = str(value)
    return f"`{text if len(text) <= longest else text[:longest] + '…'}`"
