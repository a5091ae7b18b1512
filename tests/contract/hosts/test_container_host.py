"""What every kind of host does, by the fake and by the real ones alike."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core import ids
from deployments.adapters.docker_host import DockerHost
from deployments.adapters.process_host import ProcessHost
from deployments.ports import ContainerHost, ReplicaPlan
from tests.contract.hosts.orders import (
    TOKEN,
    Orders,
    docker_host,
    ended,
    is_up,
    listens,
    seen,
    until,
)
from tests.fakes.container_host import FakeContainerHost
from tests.plugin_tiers import need

ROOT = Path(__file__).parents[3]

Plan = Callable[..., ReplicaPlan]


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Orders:
    return Orders(tmp_path_factory.mktemp("orders"))


@dataclass
class Engine:
    """One Docker host for all tests of this file, whose image is built once."""

    host: DockerHost
    image: str


@pytest.fixture(scope="module")
def engine(orders: Orders) -> Iterator[Engine]:
    need("docker")
    with docker_host() as host:
        yield Engine(host, orders.image(host))


def a_process_host(folder: Path) -> ProcessHost:
    return ProcessHost(
        name=ids.public("hst", ids.new_ulid()),
        root=folder / "replicas",
        source=ROOT,
        memory_bytes=8 * 1024**3,
        drain_wait_seconds=0.1,
    )


def end_all(host: ContainerHost) -> None:
    for replica in host.observe():
        host.stop(replica, force=True)
    until(lambda: not any(each.running for each in host.observe().values()))
    for replica in host.observe():
        host.remove(replica)


@pytest.fixture(params=["fake", "process", "docker"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ContainerHost]:
    if request.param == "fake":
        yield FakeContainerHost(tmp_path)
        return
    real: ContainerHost
    if request.param == "process":
        real = a_process_host(tmp_path)
    else:
        # A host of its own for each test, so that none sees what another one left.
        shared: Engine = request.getfixturevalue("engine")
        real = replace(shared.host, name=ids.public("hst", ids.new_ulid()))
    yield real
    end_all(real)


@pytest.fixture
def plan(request: pytest.FixtureRequest, orders: Orders, host: ContainerHost) -> Plan:
    def make(**how: Ed25519PrivateKey) -> ReplicaPlan:
        is_docker = isinstance(host, DockerHost)
        image = request.getfixturevalue("engine").image if is_docker else ""
        return orders.plan(image=image, **how)

    return make


def test_an_empty_host_answers_that_it_is_empty(host: ContainerHost) -> None:
    assert host.observe() == {}


def test_a_started_replica_listens_at_an_address(host: ContainerHost, plan: Plan) -> None:
    order = plan()
    host.start(order)
    until(lambda: listens(host, order.replica))
    observed = seen(host, order.replica)
    assert observed is not None
    assert observed.address == "127.0.0.1"
    # What a host does not see by itself the collector learns from the replica.
    assert bool(observed.boot_id) is not isinstance(host, DockerHost)
    until(lambda: bool(host.log(order.replica, lines=5)))  # it says where first, then logs it


def test_starting_twice_starts_one(host: ContainerHost, plan: Plan) -> None:
    order = plan()
    host.start(order)
    host.start(order)
    until(lambda: listens(host, order.replica))
    first = seen(host, order.replica)
    host.start(order)
    assert seen(host, order.replica) == first
    assert list(host.observe()) == [order.replica]


def test_a_stopped_replica_ends_gracefully_and_can_be_removed(
    host: ContainerHost, plan: Plan
) -> None:
    order = plan()
    host.start(order)
    until(lambda: is_up(host, order.replica))
    host.remove(order.replica)
    assert listens(host, order.replica), "a running replica must not be removed"
    host.stop(order.replica, force=False)
    until(lambda: ended(host, order.replica))
    observed = seen(host, order.replica)
    assert observed is not None
    assert observed.exit_code == 0
    host.start(order)
    assert not listens(host, order.replica), "an ended replica is not started again"
    host.remove(order.replica)
    assert host.observe() == {}


def test_a_forced_stop_ends_it_at_once(host: ContainerHost, plan: Plan) -> None:
    order = plan()
    host.start(order)
    until(lambda: listens(host, order.replica))
    host.stop(order.replica, force=True)
    until(lambda: ended(host, order.replica))
    observed = seen(host, order.replica)
    assert observed is not None
    assert observed.exit_code == 137


def test_where_a_started_replica_runs_is_known_under_one_name(
    host: ContainerHost, plan: Plan
) -> None:
    """For a container host, the id of the container; a process host and the fake have none."""
    order = plan()
    host.start(order)
    until(lambda: listens(host, order.replica))
    observed = seen(host, order.replica)
    assert observed is not None
    if isinstance(host, DockerHost):
        inspected = host.engine.quick.inspect_container(observed.instance)
        assert inspected["Id"] == observed.instance
        assert inspected["Name"] == f"/slipway-{order.replica.lower()}"
    else:
        assert observed.instance == ""


def test_a_manifest_of_a_foreign_key_is_refused_and_the_log_says_so(
    host: ContainerHost, plan: Plan
) -> None:
    if isinstance(host, FakeContainerHost):
        host.fail_with = (3, '{"event":"manifest-refused","code":"manifest:bad-signature"}')
    order = plan(signed_by=Ed25519PrivateKey.generate())
    host.start(order)
    until(lambda: ended(host, order.replica))
    observed = seen(host, order.replica)
    assert observed is not None
    assert observed.exit_code == 3
    assert "manifest:bad-signature" in host.log(order.replica, lines=5)


def test_what_a_host_is_and_has_can_be_asked(host: ContainerHost) -> None:
    facts = host.facts()
    assert facts.os
    assert facts.cpus > 0
    assert facts.memory_bytes > 0


def test_stopping_and_removing_what_is_not_there_is_no_error(host: ContainerHost) -> None:
    absent = ids.public("rep", ids.new_ulid())
    host.stop(absent, force=False)
    host.remove(absent)
    assert host.log(absent, lines=5) == ""


@pytest.fixture
def process_host(tmp_path: Path) -> Iterator[ProcessHost]:
    real = a_process_host(tmp_path)
    yield real
    end_all(real)


def test_two_hosts_of_one_machine_see_and_remove_their_own_replicas_only(
    process_host: ProcessHost, orders: Orders
) -> None:
    neighbour = replace(process_host, name=ids.public("hst", ids.new_ulid()))
    order = orders.plan()
    process_host.start(order)
    until(lambda: listens(process_host, order.replica))
    assert neighbour.observe() == {}
    process_host.stop(order.replica, force=True)
    until(lambda: ended(process_host, order.replica))
    assert neighbour.observe() == {}
    assert ended(process_host, order.replica)


def test_the_manifest_shows_neither_in_the_environment_nor_on_the_command_line_nor_on_disk(
    process_host: ProcessHost, orders: Orders
) -> None:
    order = orders.plan()
    process_host.start(order)
    until(lambda: listens(process_host, order.replica))
    for process in psutil.process_iter(["cmdline"]):
        if order.replica in " ".join(process.info["cmdline"] or []):
            assert TOKEN not in " ".join(process.cmdline())
            assert TOKEN not in str(process.environ())
    for file in (process_host.root / order.replica).rglob("*"):
        if file.is_file():
            assert TOKEN.encode() not in file.read_bytes()


def test_a_replica_outlives_the_worker_that_started_it_and_is_found_by_the_next_one(
    process_host: ProcessHost, orders: Orders, tmp_path: Path
) -> None:
    order = orders.plan()
    artifact = tmp_path / "artifact.slw"
    artifact.write_bytes(orders.sealed)
    worker = subprocess.Popen(
        [
            sys.executable,
            "-c",
            _WORKER,
            process_host.name,
            str(process_host.root),
            str(ROOT),
            order.replica,
            order.trust,
            str(artifact),
        ],
        stdin=subprocess.PIPE,
        cwd=ROOT,
    )
    assert worker.stdin is not None
    worker.stdin.write(order.manifest)
    worker.stdin.close()
    until(lambda: is_up(process_host, order.replica))
    worker.kill()
    assert worker.wait() == -9
    assert listens(process_host, order.replica)
    process_host.stop(order.replica, force=False)
    until(lambda: ended(process_host, order.replica))
    observed = seen(process_host, order.replica)
    assert observed is not None
    assert observed.exit_code == 0, "the exit code is known although the worker is gone"


_WORKER = """
import shutil, sys, time
from pathlib import Path
from deployments.adapters.process_host import ProcessHost
from deployments.ports import Limits, ReplicaPlan
name, root, source, replica, trust, artifact = sys.argv[1:]
host = ProcessHost(name, Path(root), Path(source), 8 * 1024**3, 0.1)
manifest = sys.stdin.buffer.read()
place = lambda folder: Path(shutil.copy(artifact, folder / "artifact.slw"))
host.start(ReplicaPlan(replica, manifest, trust, place, Limits(2**30, 1.0, 128)))
time.sleep(60)
"""
