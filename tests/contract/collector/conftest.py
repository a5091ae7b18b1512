"""The collector against replicas that only report, and against real model servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from core.pki import Authority
from tests.contract.collector.stage import Stage, eventually, migrated, staged
from tests.contract.modelserver.server import Replica as ModelServer
from tests.contract.modelserver.server import infer_request, rows, running
from tests.fakes.report_server import ReportingReplica, ReportServer, report_server
from wire import identity
from wire.manifest import ReplicaTls

ENVIRONMENT = "practice"  # as the seed names it


class Served(Protocol):
    """A replica as these tests use it."""

    @property
    def port(self) -> int: ...
    @property
    def boot_id(self) -> str: ...
    def serve(self, requests: int) -> None: ...


class Fleet(Protocol):
    authority: Authority
    certificate_hours: float

    def replica(self, name: str, release: str, token: str) -> Served: ...


@dataclass
class FakeFleet:
    server: ReportServer
    authority: Authority
    certificate_hours: float = 1.0

    def replica(self, name: str, release: str, token: str) -> ReportingReplica:
        hours = self.certificate_hours
        made = ReportingReplica(name, release, token, self.authority, certificate_hours=hours)
        return self.server.add(made)


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
    authority: Authority
    certificate_hours: float = 1.0

    def replica(self, name: str, release: str, token: str) -> RealReplica:
        folder = self.folder / name
        folder.mkdir()
        own_name = identity.replica(ENVIRONMENT, release, name)
        issued = self.authority.issue(own_name, hours=self.certificate_hours)
        server = self.stack.enter_context(
            running(
                folder,
                wait_ready=False,
                replica=name,
                release=release,
                environment=ENVIRONMENT,
                telemetry_token=token,
                tls=ReplicaTls(issued.certificate, issued.key, self.authority.pem),
            )
        )
        client = httpx.Client(
            base_url=f"https://127.0.0.1:{server.announced['port']}",
            verify=self.authority.context_for(own_name),
            timeout=10,
            trust_env=False,
        )
        self.stack.enter_context(client)
        if self.certificate_hours > 0:  # with an expired one, nobody can look
            eventually(lambda: client.get("/v2/health/ready").status_code == 200)
        return RealReplica(server, client)


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
def authority(stage: Stage) -> Authority:
    """The one that the collector of this stage trusts, and acts for."""
    return Authority(stage.home / "secrets")


@pytest.fixture
def fakes(authority: Authority) -> Iterator[FakeFleet]:
    with report_server() as server:
        yield FakeFleet(server, authority)


@pytest.fixture(params=["fake", "model server"])
def fleet(request: pytest.FixtureRequest, tmp_path: Path, authority: Authority) -> Iterator[Fleet]:
    with ExitStack() as stack:
        if request.param == "fake":
            yield FakeFleet(stack.enter_context(report_server()), authority)
        else:
            folder = tmp_path / "replicas"
            folder.mkdir()
            yield RealFleet(folder, stack, authority)
