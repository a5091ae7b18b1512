"""The client that a command uses; tests put another one here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cli import config
from cli.client import Client

make: Callable[[str, str], Client] = Client


@contextmanager
def client() -> Iterator[Client]:
    """Raises NotLoggedIn when it is not known whom to ask, or as whom."""
    session = config.load()
    with make(session.url, session.token) as it:
        yield it
