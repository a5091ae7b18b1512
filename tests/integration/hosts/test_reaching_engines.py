"""Engines on other machines: reached by three ways, hung, cut off, stopped, killed."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from threading import Thread

import psutil
import pytest

from deployments.adapters import docker_client
from deployments.adapters.docker_client import Engine as Reached
from deployments.adapters.docker_host import DockerHost
from deployments.domain.engines import Credentials
from deployments.ports import HostSilent, ObservedReplica, ReplicaPlan
from tests.contract.hosts.orders import (
    BASE,
    Orders,
    clear,
    docker_host,
    ended,
    is_up,
    neighbour,
    seen,
    until,
)
from tests.factories.certificates import authority, issue
from tests.integration.engines import Engine
from tests.integration.ssh_server import SshServer, ssh_server

pytestmark = pytest.mark.needs("docker", "root", "sshd")

WAYS = ("unix", "tls", "ssh")
# Long enough for a busy machine, short enough for a test to wait for.
SECONDS, SHORT = 20.0, 1.0


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Orders:
    return Orders(tmp_path_factory.mktemp("orders"))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as running:
        running.load(BASE)
        yield running


@pytest.fixture(scope="module")
def ssh(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(engine, tmp_path_factory.mktemp("ssh")) as server:
        yield server


@pytest.fixture(scope="module")
def shared(engine: Engine) -> Iterator[DockerHost]:
    with docker_host(address=engine.unix, publish=engine.address, seconds=SECONDS) as host:
        yield host
        clear(host)


@pytest.fixture(scope="module")
def image(orders: Orders, shared: DockerHost) -> str:
    return orders.image(shared)


def credentials(engine: Engine) -> Credentials:
    mine = engine.client_pair
    return Credentials(engine.authority.certificate, mine.certificate, mine.key)


@dataclass
class Ways:
    """The same Engine by each way, with the time limit that is asked for."""

    engine: Engine
    ssh: SshServer

    def reach(self, way: str, seconds: float) -> Reached:
        match way:
            case "unix":
                return docker_client.engine(self.engine.unix, None, seconds=seconds)
            case "tls":
                known = credentials(self.engine)
                return docker_client.engine(self.engine.tcp, known, seconds=seconds)
        return docker_client.engine(
            self.ssh.address, None, seconds=seconds, ssh_config=self.ssh.config
        )


@pytest.fixture
def ways(engine: Engine, ssh: SshServer) -> Ways:
    return Ways(engine, ssh)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def host(shared: DockerHost, ways: Ways, way: str) -> DockerHost:
    reached = ways.reach(way, SECONDS)
    return replace(neighbour(shared), engine=reached, waits_to_close=way == "ssh")


@pytest.fixture
def hasty(host: DockerHost, ways: Ways, way: str) -> DockerHost:
    """The same host, for one that is patient for a moment only."""
    return replace(host, engine=ways.reach(way, SHORT))


def started(host: DockerHost, plan: ReplicaPlan) -> ObservedReplica:
    running = host.start(plan)
    assert running is not None
    assert running.running
    return running


def ssh_children() -> list[psutil.Process]:
    return [each for each in psutil.Process(os.getpid()).children(recursive=True) if is_ssh(each)]


def is_ssh(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.name() == "ssh" and process.status() != psutil.STATUS_ZOMBIE
    return False


def test_a_replica_lives_and_ends_on_an_engine_elsewhere(
    host: DockerHost, orders: Orders, image: str, engine: Engine
) -> None:
    order = orders.plan(image=image)
    running = started(host, order)
    assert running.address == engine.address
    assert seen(host, order.replica) == running
    assert host.start(order) == running
    assert orders.answers(running)
    until(lambda: is_up(host, order.replica))
    host.stop(order.replica, force=False)
    until(lambda: ended(host, order.replica))
    observed = seen(host, order.replica)
    assert observed is not None
    assert observed.exit_code == 0
    host.remove(order.replica)
    assert host.observe() == {}


def test_a_manifest_of_the_largest_size_arrives_whole(
    host: DockerHost, orders: Orders, image: str
) -> None:
    """What is refused then is its signature, which is only looked at in a whole one."""
    order = replace(orders.plan(image=image), manifest=b" " * (4 * 1024**2 - 2) + b"{}")
    host.start(order)
    until(lambda: ended(host, order.replica))
    log = host.log(order.replica, lines=5)
    assert "manifest-refused" in log
    assert "too-large" not in log
    assert "empty" not in log


def test_the_engine_says_what_it_is_by_every_way(host: DockerHost) -> None:
    facts = host.facts()
    assert facts.engine_version
    assert facts.base_id == host.id_of(BASE)
    assert facts.unbounded == ()


def everything(host: DockerHost, plan: ReplicaPlan) -> dict[str, Callable[[], object]]:
    return {
        "observe": host.observe,
        "facts": host.facts,
        "start": lambda: host.start(plan),
        "stop": lambda: host.stop(plan.replica, force=True),
        "remove": lambda: host.remove(plan.replica),
        "log": lambda: host.log(plan.replica, lines=5),
        "ours": host.ours,
        "id_of": lambda: host.id_of(BASE),
    }


def is_unanswered(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except HostSilent:
        return True
    return False


def test_an_engine_that_hangs_is_silent_whatever_it_is_asked(
    host: DockerHost, hasty: DockerHost, orders: Orders, image: str, engine: Engine
) -> None:
    order = orders.plan(image=image)
    running = started(host, order)
    until(lambda: answers(hasty))  # on a connection that is there already
    engine.hang()
    try:
        for name, ask in everything(hasty, order).items():
            assert is_unanswered(ask), f"{name} was answered"
        assert orders.answers(running), "its replicas do not hang"
    finally:
        engine.go_on()
    assert seen(host, order.replica) == running, "silent was not empty"
    hasty.engine.forget()
    if hasty.waits_to_close:
        host.engine.forget()
        until(lambda: ssh_children() == [])


@pytest.mark.parametrize("way", ["tls", "ssh"], indirect=True)
def test_an_engine_that_is_cut_off_is_silent_and_then_as_it_was(
    host: DockerHost, hasty: DockerHost, orders: Orders, image: str, engine: Engine
) -> None:
    order = orders.plan(image=image)
    running = started(host, order)
    until(lambda: answers(hasty))
    engine.cut()
    try:
        for _ in range(2):  # on a connection that was there, then on a new one
            with pytest.raises(HostSilent):
                hasty.observe()
    finally:
        engine.mend()
    until(lambda: answers(hasty), seconds=60)
    assert seen(hasty, order.replica) == running


def answers(host: DockerHost) -> bool:
    try:
        return host.observe() is not None
    except HostSilent:
        return False


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_an_engine_that_was_away_tells_the_ends_of_its_replicas_when_it_is_back(
    host: DockerHost, orders: Orders, image: str, engine: Engine, end: str
) -> None:
    order = orders.plan(image=image)
    started(host, order)
    until(lambda: is_up(host, order.replica))
    getattr(engine, end)()
    try:
        with pytest.raises(HostSilent):
            host.observe()
    finally:
        engine.start()
    until(lambda: ended(host, order.replica))
    host.remove(order.replica)
    assert orders.answers(started(host, orders.plan(image=image)))


# --- who is let in, and who is believed -----------------------------------------------------------


def refused_with(reached: Reached) -> str:
    with pytest.raises(HostSilent) as silent:
        _ = reached.quick
    return silent.value.detail


def test_without_a_certificate_that_it_knows_an_engine_answers_nobody(engine: Engine) -> None:
    known = credentials(engine)
    stranger = issue(authority(), "slipway", client=True)
    foreign = replace(known, certificate=stranger.certificate, key=stranger.key)
    for given in (None, foreign):
        assert refused_with(docker_client.engine(engine.tcp, given, seconds=SECONDS))


def test_an_engine_of_another_authority_is_not_believed(engine: Engine) -> None:
    known = replace(credentials(engine), authority=authority().certificate)
    detail = refused_with(docker_client.engine(engine.tcp, known, seconds=SECONDS))
    assert "certificate verify failed" in detail


def test_an_engine_under_another_name_than_its_certificates_is_not_believed(
    engine: Engine,
) -> None:
    """Its own address is in the certificate, that of loopback is not."""
    with forwarded(engine) as address:
        detail = refused_with(docker_client.engine(address, credentials(engine), seconds=SECONDS))
    assert "certificate verify failed" in detail


def test_the_machine_of_an_unknown_key_is_not_talked_to(ssh: SshServer) -> None:
    detail = refused_with(
        docker_client.engine(ssh.address, None, seconds=SECONDS, ssh_config=ssh.knows_nobody)
    )
    assert "Host key verification failed" in detail


def test_whoever_is_not_let_in_by_ssh_is_told_so(ssh: SshServer) -> None:
    detail = refused_with(
        docker_client.engine(ssh.address, None, seconds=SECONDS, ssh_config=ssh.has_a_foreign_key)
    )
    assert "Permission denied" in detail


def test_nothing_is_left_of_ssh_when_nobody_needs_it(ssh: SshServer, ways: Ways) -> None:
    reached = ways.reach("ssh", SECONDS)
    reached.quick.info()
    assert ssh_children()
    reached.forget()
    until(lambda: ssh_children() == [])


@contextmanager
def forwarded(engine: Engine) -> Iterator[str]:
    """The same Engine at an address of loopback, for one connection."""
    target = (engine.address, 2376)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def carry() -> None:
            with server.accept()[0] as near, socket.create_connection(target) as far:
                back = Thread(target=pump, args=(far, near))
                back.start()
                pump(near, far)
                back.join()

        carrier = Thread(target=carry)
        carrier.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        carrier.join(30)


def pump(source: socket.socket, into: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            into.sendall(data)
        into.shutdown(socket.SHUT_WR)
