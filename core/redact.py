"""Keeping secrets out of logs and evidence."""

from __future__ import annotations

import re

_SECRETS = re.compile(
    r"slw_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}"
    r"|(?<=/accounts/link/)[\w-]+"
    r"|(?<=[Bb]earer )[\w.~+/=-]+"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
)


def redact(text: str) -> str:
    """`text` with tokens, login links and passwords in addresses replaced by `***`."""
    return _SECRETS.sub("***", text)
