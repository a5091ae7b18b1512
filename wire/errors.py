"""What can be wrong with a message that crossed the wire.

WireError
 ├─ Unreadable        a field is missing, unknown, of the wrong type or out of range
 ├─ ManifestRefused   a manifest that must not be acted on
 └─ NotCumulative     two reports or histograms that are no earlier and later one of a series

Each carries a stable `code` for programs and a `message` for people.
"""

from __future__ import annotations


class WireError(Exception):
    """Base of all refusals in this package. `code` is stable, `message` is a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Unreadable(WireError):
    """The bytes or the JSON value do not have the agreed form."""


class ManifestRefused(WireError):
    """The manifest must not be acted on: unsigned, altered, expired or meant for someone else."""


class NotCumulative(WireError):
    """The `later` value does not contain the `earlier` one."""
