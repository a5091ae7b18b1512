"""What only containers have: confinement, ownership, and a start that may be cut off anywhere."""

from __future__ import annotations

import base64
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import ids
from deployments.adapters import docker_client, docker_container
from deployments.adapters.docker_host import DockerHost
from deployments.ports import (
    HostRefused,
    HostSilent,
    ImageMissing,
    Limits,
    ObservedReplica,
    ReplicaPlan,
)
from tests.contract.hosts.killed_worker import POINTS
from tests.contract.hosts.orders import (
    ENGINE,
    LIMITS,
    TOKEN,
    Orders,
    docker_host,
    ended,
    is_up,
    neighbour,
    seen,
    until,
)
from wire.manifest import trusted_key, verify

pytestmark = pytest.mark.needs("docker")

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Orders:
    return Orders(tmp_path_factory.mktemp("orders"))


@pytest.fixture(scope="module")
def shared() -> Iterator[DockerHost]:
    with docker_host() as host:
        yield host


@pytest.fixture(scope="module")
def image(orders: Orders, shared: DockerHost) -> str:
    return orders.image(shared)


@pytest.fixture
def host(shared: DockerHost) -> DockerHost:
    return neighbour(shared)


@pytest.fixture
def plan(orders: Orders, image: str) -> Callable[..., ReplicaPlan]:
    def make(**how: Any) -> ReplicaPlan:
        return orders.plan(image=image, **how)

    return make


def inspected(host: DockerHost, container: str) -> dict[str, Any]:
    found: dict[str, Any] = host.engine.quick.inspect_container(container)
    return found


def containers_of(host: DockerHost, replica: str) -> list[str]:
    """Anybody's, running or not."""
    mine = {"label": f"slipway.replica={replica}"}
    return [each["Id"] for each in host.engine.quick.containers(all=True, filters=mine)]


def started(host: DockerHost, plan: ReplicaPlan) -> ObservedReplica:
    running = host.start(plan)
    assert running is not None
    assert running.running
    return running


# --- what it is -----------------------------------------------------------------------------------


def test_where_it_listens_is_known_at_once_and_it_predicts(
    host: DockerHost, orders: Orders, plan: Callable[..., ReplicaPlan]
) -> None:
    order = plan()
    running = started(host, order)
    assert running == seen(host, order.replica)
    assert running.port != running.grpc_port
    assert orders.answers(running)


def test_the_engine_confines_it_as_it_was_told(
    host: DockerHost, plan: Callable[..., ReplicaPlan]
) -> None:
    limits = Limits(memory_bytes=700 * 1024**2, cpus=0.75, pids=90)
    running = started(host, plan(limits=limits))
    found = inspected(host, running.instance)
    kept = found["HostConfig"]
    assert found["Config"]["User"] == "65532:65532"
    assert kept["ReadonlyRootfs"] is True
    assert kept["CapDrop"] == ["ALL"]
    assert kept["SecurityOpt"] == ["no-new-privileges"]
    assert (kept["Memory"], kept["MemorySwap"]) == (700 * 1024**2, 700 * 1024**2)
    assert (kept["NanoCpus"], kept["PidsLimit"]) == (750_000_000, 90)
    assert kept["RestartPolicy"]["Name"] == "no"
    assert kept["LogConfig"] == {
        "Type": "json-file",
        "Config": {"max-size": "10m", "max-file": "2"},
    }
    assert found["Mounts"] == []


def test_its_kernel_agrees(host: DockerHost, plan: Callable[..., ReplicaPlan]) -> None:
    """Not what was asked for, but what the process has."""
    order = plan()
    running = started(host, order)
    until(lambda: is_up(host, order.replica))
    pid = inspected(host, running.instance)["State"]["Pid"]
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    assert status["Uid"].split() == ["65532"] * 4
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    [root] = [
        line.split()
        for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
        if line.split()[4] == "/"
    ]
    assert "ro" in root[5].split(",")


def test_one_that_needs_more_memory_than_it_may_is_ended_and_says_so(
    host: DockerHost, plan: Callable[..., ReplicaPlan]
) -> None:
    order = plan(limits=replace(LIMITS, memory_bytes=24 * 1024**2))
    host.start(order)
    until(lambda: ended(host, order.replica))
    observed = seen(host, order.replica)
    assert observed is not None
    assert observed.out_of_memory
    assert observed.exit_code == 137


# --- secrets --------------------------------------------------------------------------------------


def test_nothing_that_it_was_given_can_be_found_outside_of_it(
    host: DockerHost, orders: Orders, plan: Callable[..., ReplicaPlan], image: str
) -> None:
    """In what the Engine tells, in its log, in the layers of its image, in its file system."""
    order = plan()
    running = started(host, order)
    assert orders.answers(running)
    secrets = secrets_of(order, orders)
    client = host.engine.client(60.0)
    told = [
        repr(client.inspect_container(running.instance)),
        repr(client.inspect_image(image)),
        repr(client.history(image)),
        repr(client.top(running.instance)),
        host.log(order.replica, lines=1000),
    ]
    for text in told:
        assert [name for name, secret in secrets.items() if secret in text.encode()] == []
    looked_for = secrets | {"what is looked for": orders.sealed[500:564]}
    for stream in (host.save(image), client.export(running.instance)):
        assert found_in(stream, looked_for) == {"what is looked for"}


def secrets_of(order: ReplicaPlan, orders: Orders) -> dict[str, bytes]:
    manifest = verify(order.manifest, trusted_key(order.trust), time.time())
    assert manifest.tls is not None
    middle = len(orders.plain) // 2
    private = manifest.tls.key
    return {
        "the key of the artifact": orders.key,
        "the same in base64": base64.b64encode(orders.key),
        "the same in hexadecimal": orders.key.hex().encode(),
        "the private key": private.splitlines()[1].encode(),
        "the private key in DER": ssl.PEM_cert_to_DER_cert(
            private.replace("PRIVATE KEY", "CERTIFICATE")  # the same armour
        ),
        "the token": TOKEN.encode(),
        "the model": orders.plain[middle : middle + 64],
    }


def found_in(stream: Iterator[bytes], looked_for: Mapping[str, bytes]) -> set[str]:
    """In a tar of files that are not compressed, however it is cut into pieces."""
    longest = max(map(len, looked_for.values()))
    found: set[str] = set()
    tail = b""
    for piece in stream:
        window = tail + piece
        found |= {name for name, bytes_ in looked_for.items() if bytes_ in window}
        tail = window[-longest:]
    return found


# --- a start that is cut off ----------------------------------------------------------------------


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_while_it_starts_a_replica_leaves_one_that_works_in_the_end(
    host: DockerHost, orders: Orders, plan: Callable[..., ReplicaPlan], point: str
) -> None:
    order = plan()
    command = [point, ENGINE, host.owner, host.name, order.replica, order.image, order.trust]
    worker = subprocess.run(
        [sys.executable, "-m", "tests.contract.hosts.killed_worker", *command],
        input=order.manifest,
        cwd=ROOT,
        check=False,
    )
    assert worker.returncode == -9, "it was killed on the way"
    left = containers_of(host, order.replica)
    assert len(left) == 1, "it left something behind"
    if point != "renamed":
        half_done = seen(host, order.replica)
        assert half_done is not None
        assert not half_done.running, "nobody takes it for a replica"
        assert (half_done.exit_code, half_done.port) == (None, None)
    # What is half done belongs to nobody after six times this.
    hurried = replace(host, engine=docker_client.engine(ENGINE, None, seconds=1.0))
    until(lambda: runs_after_start(hurried, order), seconds=120)
    assert len(containers_of(host, order.replica)) == 1
    assert (containers_of(host, order.replica) == left) is (point == "renamed")
    running = seen(host, order.replica)
    assert running is not None
    assert orders.answers(running)


def runs_after_start(host: DockerHost, order: ReplicaPlan) -> bool:
    try:
        running = host.start(order)
    except HostSilent:
        return False  # a busy machine; the loop comes again
    return running is not None and running.running


def test_what_was_only_begun_can_be_removed(
    host: DockerHost, plan: Callable[..., ReplicaPlan]
) -> None:
    order = plan()
    command = ["started", ENGINE, host.owner, host.name, order.replica, order.image, order.trust]
    subprocess.run(
        [sys.executable, "-m", "tests.contract.hosts.killed_worker", *command],
        input=order.manifest,
        cwd=ROOT,
        check=False,
    )
    assert len(containers_of(host, order.replica)) == 1
    host.remove(order.replica)
    assert containers_of(host, order.replica) == []


def test_starting_from_several_workers_at_once_starts_one(
    host: DockerHost, plan: Callable[..., ReplicaPlan]
) -> None:
    order = plan()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(host.start, [order] * 6))
    assert len(containers_of(host, order.replica)) == 1
    running = seen(host, order.replica)
    assert running is not None
    assert running.running
    assert {each.instance for each in answers if each} == {running.instance}


# --- what the Engine will not do ------------------------------------------------------------------


def test_an_image_that_is_not_there_is_told_apart(host: DockerHost, orders: Orders) -> None:
    with pytest.raises(ImageMissing):
        host.start(orders.plan(image="sha256:" + "1" * 64))
    assert host.observe() == {}


@pytest.mark.parametrize("what", ["cpus", "publish address"])
def test_what_cannot_be_is_refused_in_the_engines_words_and_leaves_nothing(
    host: DockerHost, plan: Callable[..., ReplicaPlan], what: str
) -> None:
    limits = replace(LIMITS, cpus=10_000.0) if what == "cpus" else LIMITS
    elsewhere = "192.0.2.1" if what == "publish address" else host.publish_address
    order = plan(limits=limits)
    with pytest.raises(HostRefused) as refused:
        replace(host, publish_address=elsewhere).start(order)
    assert refused.value.detail
    assert containers_of(host, order.replica) == []


# --- others on the same Engine --------------------------------------------------------------------


def test_hosts_and_slipways_that_share_an_engine_see_and_touch_their_own_only(
    host: DockerHost, plan: Callable[..., ReplicaPlan]
) -> None:
    order = plan()
    running = started(host, order)
    for other in (neighbour(host), replace(host, owner="another-slipway")):
        assert other.observe() == {}
        assert other.log(order.replica, lines=5) == ""
        other.stop(order.replica, force=True)
        other.remove(order.replica)
    assert seen(host, order.replica) == running


@pytest.fixture
def strangers(host: DockerHost, image: str) -> Iterator[Callable[[str], str]]:
    """Makes containers that are called like a replica's, and are not ours."""
    made: list[str] = []
    client = host.engine.client(60.0)

    def make(replica: str, *, begun: bool = False) -> str:
        labels = {"slipway.replica": replica, "slipway.host": host.name, "slipway.owner": "x"}
        container = client.create_container_from_config(  # type: ignore[no-untyped-call]
            {"Image": image, "Entrypoint": ["/bin/sleep", "600"], "Labels": labels},
            docker_container.name_of(replica, begun=begun),
        )["Id"]
        made.append(container)
        client.start(container)
        return str(container)

    yield make
    for container in made:
        client.remove_container(container, force=True)


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "finished"])
def test_a_stranger_under_the_name_of_a_replica_is_not_touched(
    host: DockerHost,
    plan: Callable[..., ReplicaPlan],
    strangers: Callable[..., str],
    begun: bool,
) -> None:
    order = plan()
    stranger = strangers(order.replica, begun=begun)
    before = inspected(host, stranger)["State"]
    assert host.observe() == {}
    host.stop(order.replica, force=True)
    host.remove(order.replica)
    with pytest.raises(HostRefused, match="already in use"):
        host.start(order)
    assert containers_of(host, order.replica) == [stranger]
    assert inspected(host, stranger)["State"] == before
    assert before["Running"] is True


def test_a_container_of_ours_that_is_no_replica_is_none(host: DockerHost, image: str) -> None:
    client = host.engine.client(60.0)
    odd = client.create_container_from_config(  # type: ignore[no-untyped-call]
        {"Image": image, "Labels": {"slipway.owner": host.owner, "slipway.host": host.name}},
        f"odd-{ids.new_ulid().lower()}",
    )["Id"]
    try:
        assert host.observe() == {}
    finally:
        client.remove_container(odd, force=True)
