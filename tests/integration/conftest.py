"""One stack for all tests that leave it usable; a new one where the last was left broken."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.integration.stack import Stack
from tests.plugin_tiers import need
from tests.running import eventually


class Stacks:
    """Starts the stack when it is first asked for, and again when it did not recover."""

    def __init__(self, homes: pytest.TempPathFactory) -> None:
        self._homes = homes
        self._running: Stack | None = None

    def well(self) -> Stack:
        if self._running and not self._recovers(self._running):
            self.end()
        if self._running is None:
            self._running = Stack(self._homes.mktemp("stack")).start()
        return self._running

    def end(self) -> None:
        """Nothing of it may be left."""
        if self._running:
            stack, self._running = self._running, None
            stack.stop()
            assert stack.processes() == []

    @staticmethod
    def _recovers(stack: Stack) -> bool:
        try:
            eventually(stack.is_well, within=30.0)
        except AssertionError:
            return False
        return True


@pytest.fixture(scope="session")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stacks]:
    for each in ("redis", "envoy"):
        need(each)
    held = Stacks(tmp_path_factory)
    yield held
    held.end()


@pytest.fixture
def stack(stacks: Stacks) -> Stack:
    """The whole embedded stack, well."""
    # A poll every 30 ms is no news; what failed should be seen in the report.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return stacks.well()
