"""What every kind of host does, by the fake and by the real ones alike."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core import ids
from core.keys import KeyStore
from deployments.adapters.process_host import ProcessHost
from deployments.ports import ContainerHost, ObservedReplica, ReplicaPlan
from tests.fakes.container_host import FakeContainerHost
from wire.manifest import ReleaseManifest, sign
from wire.signature import Signature

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "demo" / "models" / "tumour-1.onnx"


def until(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def signature() -> Signature:
    inspected = subprocess.run(
        [sys.executable, "-m", "modelserver", "inspect", "--artifact", str(MODEL)],
        capture_output=True,
        check=True,
        cwd=ROOT,
    )
    return Signature.from_json(json.loads(inspected.stdout)["signature"])


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "secrets")


@pytest.fixture
def plan(keys: KeyStore, signature: Signature) -> Callable[..., ReplicaPlan]:
    def make(*, signed_by: Ed25519PrivateKey | None = None) -> ReplicaPlan:
        replica = ids.public("rep", ids.new_ulid())
        now = int(time.time())
        manifest = ReleaseManifest(
            release=ids.public("rel", ids.new_ulid()),
            release_digest="sha256:" + "0" * 64,
            endpoint="tumour",
            environment="staging",
            version=1,
            artifact_digest="sha256:" + hashlib.sha256(MODEL.read_bytes()).hexdigest(),
            signature=signature,
            replica=replica,
            telemetry_token="t" * 43,
            issued_at=now,
            expires_at=now + 600,
        )

        def place(folder: Path) -> Path:
            return Path(shutil.copy(MODEL, folder / "model.onnx"))

        key = signed_by or keys.signing_key()
        return ReplicaPlan(replica, sign(manifest, key), keys.trust(), place)

    return make


@pytest.fixture(params=["fake", "process"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ContainerHost]:
    if request.param == "fake":
        yield FakeContainerHost(tmp_path)
        return
    real = ProcessHost(
        name=ids.public("hst", ids.new_ulid()),
        root=tmp_path / "replicas",
        source=ROOT,
        memory_bytes=8 * 1024**3,
        drain_wait_seconds=0.1,
    )
    yield real
    for replica in real.observe():
        real.stop(replica, force=True)
    until(lambda: not any(each.running for each in real.observe().values()))


def seen(host: ContainerHost, replica: str) -> ObservedReplica | None:
    return host.observe().get(replica)


def listens(host: ContainerHost, replica: str) -> bool:
    observed = seen(host, replica)
    return observed is not None and observed.running and observed.port is not None


def ended(host: ContainerHost, replica: str) -> bool:
    observed = seen(host, replica)
    return observed is not None and not observed.running and observed.exit_code is not None


def test_an_empty_host_answers_that_it_is_empty(host: ContainerHost) -> None:
    assert host.observe() == {}


def test_a_started_replica_listens_at_an_address(
    host: ContainerHost, plan: Callable[..., ReplicaPlan]
) -> None:
    order = plan()
    host.start(order)
    until(lambda: listens(host, order.replica))
    observed = seen(host, order.replica)
    assert observed is not None
    assert observed.address == "127.0.0.1"
    assert observed.boot_id
    until(lambda: bool(host.log(order.replica, lines=5)))  # it says where first, then logs it


def test_starting_twice_starts_one(host: ContainerHost, plan: Callable[..., ReplicaPlan]) -> None:
    order = plan()
    host.start(order)
    host.start(order)
    until(lambda: listens(host, order.replica))
    first = seen(host, order.replica)
    host.start(order)
    assert seen(host, order.replica) == first
    assert list(host.observe()) == [order.replica]


def test_a_stopped_replica_ends_gracefully_and_can_be_removed(
    host: ContainerHost, plan: Callable[..., ReplicaPlan]
) -> None:
    order = plan()
    host.start(order)
    until(lambda: listens(host, order.replica))
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


def test_a_forced_stop_ends_it_at_once(
    host: ContainerHost, plan: Callable[..., ReplicaPlan]
) -> None:
    order = plan()
    host.start(order)
    until(lambda: listens(host, order.replica))
    host.stop(order.replica, force=True)
    until(lambda: ended(host, order.replica))
    observed = seen(host, order.replica)
    assert observed is not None
    assert observed.exit_code == 137


def test_stopping_and_removing_what_is_not_there_is_no_error(host: ContainerHost) -> None:
    absent = ids.public("rep", ids.new_ulid())
    host.stop(absent, force=False)
    host.remove(absent)
    assert host.log(absent, lines=5) == ""


@pytest.fixture
def process_host(tmp_path: Path) -> Iterator[ProcessHost]:
    real = ProcessHost(
        name=ids.public("hst", ids.new_ulid()),
        root=tmp_path / "replicas",
        source=ROOT,
        memory_bytes=8 * 1024**3,
        drain_wait_seconds=0.1,
    )
    yield real
    for replica in real.observe():
        real.stop(replica, force=True)
    until(lambda: not any(each.running for each in real.observe().values()))


def test_two_hosts_of_one_machine_see_and_remove_their_own_replicas_only(
    process_host: ProcessHost, plan: Callable[..., ReplicaPlan]
) -> None:
    neighbour = replace(process_host, name=ids.public("hst", ids.new_ulid()))
    order = plan()
    process_host.start(order)
    until(lambda: listens(process_host, order.replica))
    assert neighbour.observe() == {}
    process_host.stop(order.replica, force=True)
    until(lambda: ended(process_host, order.replica))
    assert neighbour.observe() == {}
    assert ended(process_host, order.replica)


def test_a_manifest_of_a_foreign_key_is_refused_with_exit_code_3(
    process_host: ProcessHost, plan: Callable[..., ReplicaPlan]
) -> None:
    order = plan(signed_by=Ed25519PrivateKey.generate())
    process_host.start(order)
    until(lambda: ended(process_host, order.replica))
    observed = seen(process_host, order.replica)
    assert observed is not None
    assert observed.exit_code == 3
    assert "manifest:bad-signature" in process_host.log(order.replica, lines=5)


def test_the_manifest_shows_neither_in_the_environment_nor_on_the_command_line_nor_on_disk(
    process_host: ProcessHost, plan: Callable[..., ReplicaPlan]
) -> None:
    order = plan()
    process_host.start(order)
    until(lambda: listens(process_host, order.replica))
    secret = "t" * 43
    for process in psutil.process_iter(["cmdline"]):
        if order.replica in " ".join(process.info["cmdline"] or []):
            assert secret not in " ".join(process.cmdline())
            assert secret not in str(process.environ())
    for file in (process_host.root / order.replica).rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes()


def test_a_replica_outlives_the_worker_that_started_it_and_is_found_by_the_next_one(
    process_host: ProcessHost, plan: Callable[..., ReplicaPlan]
) -> None:
    order = plan()
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
            str(MODEL),
        ],
        stdin=subprocess.PIPE,
        cwd=ROOT,
    )
    assert worker.stdin is not None
    worker.stdin.write(order.manifest)
    worker.stdin.close()
    until(lambda: listens(process_host, order.replica))
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
from deployments.ports import ReplicaPlan
name, root, source, replica, trust, model = sys.argv[1:]
host = ProcessHost(name, Path(root), Path(source), 8 * 1024**3, 0.1)
manifest = sys.stdin.buffer.read()
host.start(ReplicaPlan(replica, manifest, trust, lambda f: Path(shutil.copy(model, f / "m.onnx"))))
time.sleep(60)
"""
