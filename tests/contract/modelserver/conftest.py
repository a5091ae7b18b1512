"""One replica for all tests that only ask; tests that stop one start their own."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.contract.modelserver.server import Replica, running


@pytest.fixture(scope="package")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with running(tmp_path_factory.mktemp("replica")) as replica:
        yield replica


@pytest.fixture
def client(replica: Replica) -> Iterator[httpx.Client]:
    with replica.client() as client:
        yield client
