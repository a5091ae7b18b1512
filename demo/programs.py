"""The two programs that the story needs beside itself: Slipway, and the one that sends traffic.

Both end when their standard input does, so neither outlives this process, however it ends.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Event = dict[str, Any]
_STOP_LIMIT = 60.0


class StoryBroke(Exception):
    """A step did not hold. The text says which, and what was seen."""


class Talking:
    """A program that says one JSON object a line."""

    def __init__(self, command: list[str], environ: Mapping[str, str], errors: Path) -> None:
        self._errors = errors.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **environ},
            start_new_session=True,
        )
        self.heard: queue.Queue[Event | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def end(self) -> int:
        """Ask by the end of its input, and insist after a while."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            return self._process.wait(_STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._errors.close()

    def _listen(self) -> None:
        if self._process.stdout is None:
            return
        with self._process.stdout as said:
            for line in said:
                if line.startswith(b"{"):
                    self.heard.put(json.loads(line))
        self.heard.put(None)


class Slipway(Talking):
    """The embedded stack in a home of its own, fresh each time: the story begins at version 1."""

    def __init__(self, home: Path, *, host: str = "process") -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.started = False
        arguments = ["up", "--foreground", "--json", "--until-eof", "--fresh", "--host", host]
        super().__init__(
            ["controlplane.supervisor", *arguments],
            {"SLIPWAY_HOME": str(home)},
            home.parent / "demo-supervisor.log",
        )

    def wait_for(self, wanted: str, tell: Callable[[Event], None], *, within: float) -> Event:
        """The first event of that name; every event on the way is told.

        Raises StoryBroke with the supervisor's own line when it cannot start.
        """
        deadline = time.monotonic() + within
        while True:
            try:
                event = self.heard.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise StoryBroke(f"Slipway said no '{wanted}' within {within:.0f} s.") from None
            if event is None:
                raise StoryBroke("Slipway ended before it was up; see its log folder.")
            if event["event"] == "failed":
                raise StoryBroke(str(event["text"]))
            self.started = True  # refused ones say nothing else; then the home is another's
            tell(event)
            if event["event"] == wanted:
                return event

    def news(self) -> list[Event]:
        """What it has said since it was last asked, such as restarts."""
        found = []
        while not self.heard.empty():
            event = self.heard.get()
            if event is not None:
                found.append(event)
        return found


class Traffic(Talking):
    """Predictions at a steady rate; see `demo.traffic`."""

    def __init__(self, url: str, rows: Path, key: Path, errors: Path, *, rate: int = 50) -> None:
        words = ["demo.traffic", url, str(rows), str(key), "--rate", str(rate)]
        super().__init__(words, {}, errors)
        self._last: Event = {"sent": 0, "ok": 0, "failed": 0, "versions": {}, "failures": {}}

    def now(self) -> Event:
        while not self.heard.empty():
            event = self.heard.get()
            if event is None:
                raise StoryBroke("The program that sends the traffic ended.")
            self._last = event
        return self._last

    def total(self) -> Event:
        """Ends it; the last word, with every attempt answered or counted as failed."""
        self.end()
        while (event := self.heard.get()) is not None:
            self._last = event
        return self._last
