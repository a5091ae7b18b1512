"""Asks programs over HTTP whether they are well, beside the supervisor's own loop."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit


def get_status(url: str, timeout: float = 2.0) -> int | None:
    """The status of one GET; None when there was no answer. No proxy, no redirect, no pool."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def is_complete(url: str, timeout: float = 2.0) -> bool:
    """Whether `/readyz` finds nothing amiss: web is ready earlier than all that it looks at."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", parts.path)
        found: object = json.loads(connection.getresponse().read())["status"]
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return False
    finally:
        connection.close()
    return found == "ready"


class Watch(threading.Thread):
    """Remembers when each address last gave any answer; what follows is the supervisor's."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        *,
        every: float = 5.0,
        ask: Callable[[str], int | None] = get_status,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="health", daemon=True)
        self._addresses = dict(addresses)
        self._every = every
        self._ask = ask
        self._clock = clock
        self._over = threading.Event()
        self._answered: dict[str, float] = {}

    def answered_at(self, name: str) -> float | None:
        return self._answered.get(name)

    def run(self) -> None:
        while not self._over.is_set():
            for name, url in self._addresses.items():
                if self._ask(url) is not None:
                    self._answered[name] = self._clock()
            self._over.wait(self._every)

    def stop(self) -> None:
        self._over.set()
