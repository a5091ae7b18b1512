"""What the supervisor says: to a person in lines, to a program (`--json`) as one object a line.

It never stops the stack: when nobody reads any more, it goes on without a word.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TextIO

Event = dict[str, object]


class Reporter:
    """`event` is one of: step, link, ready, restart, hangs, stopping, stopped, failed."""

    def __init__(self, *, as_json: bool, out: TextIO | None = None) -> None:
        self._out: TextIO | None = out if out is not None else sys.stdout
        self._shape: Callable[[Event], str] = json.dumps if as_json else sentence

    def say(self, event: str, **facts: object) -> None:
        if self._out is None:
            return
        try:
            print(self._shape({"event": event, **facts}), file=self._out, flush=True)
        except (OSError, ValueError):
            self._out = None


def sentence(event: Event) -> str:
    match event["event"]:
        case "step":
            return f"✔ {event['text']:<66} {_seconds(event)}"
        case "link":
            return _link(event)
        case "ready":
            return (
                f"  everything runs after {_seconds(event).strip()}; Ctrl-C or make down stops it"
            )
        case "restart":
            return f"! {event['program']} ended ({event['how']}); again in {event['delay']} s"
        case "hangs":
            return f"! {event['program']} does not answer; it is started anew"
        case "stopping":
            return "· stopping"
        case "stopped":
            return f"✔ stopped; nothing of it is left {_seconds(event)}"
        case _:
            return str(event.get("text", ""))


def _link(event: Event) -> str:
    lines = [f"→ open {event['url']}   (one-time login link)"]
    if event.get("password"):
        lines.append(
            f"  or sign in at {event['address']} as {event['username']} / {event['password']}"
            "   (shown only now)"
        )
    return "\n".join(lines)


def _seconds(event: Event) -> str:
    value = event.get("seconds")
    return f"{value:6.1f} s" if isinstance(value, int | float) else ""
