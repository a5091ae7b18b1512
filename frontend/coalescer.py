"""What waits to be sent to one browser tab. Bounded, whatever arrives.

Of chart frames only the newest per topic is kept: an older one says nothing any more. Hints that
something changed are kept each, up to a limit; beyond it the page is told to fetch everything.
"""

from __future__ import annotations

from typing import Any

MOST_EVENTS = 256

Message = dict[str, Any]


class Coalescer:
    def __init__(self, most_events: int = MOST_EVENTS) -> None:
        self._most_events = most_events
        self._events: list[Message] = []
        self._frames: dict[str, Message] = {}
        self._overflowed = False

    def event(self, topic: str, revision: int) -> None:
        if self._overflowed:
            return
        if len(self._events) >= self._most_events:
            self._overflowed = True
            self._events.clear()
            return
        self._events.append({"type": "changed", "topic": topic, "revision": revision})

    def frame(self, topic: str, points: dict[str, Any]) -> None:
        self._frames[topic] = {"type": "frame", "topic": topic, "points": points}

    def forget(self, topic: str) -> None:
        """Nothing more of a topic that is no longer subscribed to."""
        self._events = [event for event in self._events if event["topic"] != topic]
        self._frames.pop(topic, None)

    def take(self) -> list[Message]:
        """Everything that waits, events before frames; nothing waits afterwards."""
        events: list[Message] = [{"type": "snapshot"}] if self._overflowed else self._events
        taken = [*events, *self._frames.values()]
        self._events, self._frames, self._overflowed = [], {}, False
        return taken

    def __bool__(self) -> bool:
        return bool(self._events or self._frames or self._overflowed)
