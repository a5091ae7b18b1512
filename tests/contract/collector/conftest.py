"""The collector against replicas that only report, and against real model servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from tests.contract.collector.stage import Stage, migrated, staged
from tests.contract.modelserver.server import Replica as ModelServer
from tests.contract.modelserver.server import infer_request, rows, running
from tests.fakes.report_server import ReportingReplica, ReportServer, report_server


class Served(Protocol):
    """A replica as these tests use it."""

    @property
    def port(self) -> int: ...
    @property
    def boot_id(self) -> str: ...
    def serve(self, requests: int) -> None: ...


class Fleet(Protocol):
    def replica(self, name: str, release: str, token: str) -> Served: ...


@dataclass
class FakeFleet:
    server: ReportServer

    def replica(self, name: str, release: str, token: str) -> ReportingReplica:
        return self.server.add(ReportingReplica(name, release, token))


@dataclass
class RealReplica:
    server: ModelServer
    client: httpx.Client

    @property
    def port(self) -> int:
        return int(self.server.announced["port"])

    @property
    def boot_id(self) -> str:
        return str(self.server.announced["boot_id"])

    def serve(self, requests: int) -> None:
        for _ in range(requests):
            answer = self.client.post("/v2/models/tumour/infer", json=infer_request(rows(1)))
            answer.raise_for_status()


@dataclass
class RealFleet:
    folder: Path
    stack: ExitStack

    def replica(self, name: str, release: str, token: str) -> RealReplica:
        folder = self.folder / name
        folder.mkdir()
        server = self.stack.enter_context(
            running(folder, replica=name, release=release, telemetry_token=token)
        )
        return RealReplica(server, self.stack.enter_context(server.client()))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture
def stage(tmp_path: Path, template: Path) -> Iterator[Stage]:
    with staged(tmp_path / "home", template) as stage:
        yield stage
        # No test here may pass over an error that the collector only logged.
        assert "Traceback" not in stage.log(), stage.log()


@pytest.fixture
def fakes() -> Iterator[FakeFleet]:
    with report_server() as server:
        yield FakeFleet(server)


@pytest.fixture(params=["fake", "model server"])
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    with ExitStack() as stack:
        if request.param == "fake":
            yield FakeFleet(stack.enter_context(report_server()))
        else:
            folder = tmp_path / "replicas"
            folder.mkdir()
            yield RealFleet(folder, stack)
