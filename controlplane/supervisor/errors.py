"""What a person is told, in one line that says what to do."""

from __future__ import annotations


class CannotStart(Exception):
    """Slipway cannot start here, and a person can change that. The text is shown as it is."""


class Stopped(Exception):
    """A stop was asked for while something was still being waited for."""
