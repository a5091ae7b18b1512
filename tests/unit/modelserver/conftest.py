"""What more than one file here needs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.unit.modelserver.fakes import one_thread


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with one_thread() as pool:
        yield pool
