"""What a replica knows and nobody else may find: its keys, its token, and the model itself.

A real replica process with an encrypted artifact, started by a process host. Containers are looked
at in the integration tests of Docker hosts.
"""

from __future__ import annotations

import base64
import hashlib
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from core import ids
from core.keys import KeyStore
from core.pki import Authority
from deployments.adapters.process_host import ProcessHost
from deployments.ports import Limits, ObservedReplica, ReplicaPlan
from tests.contract.modelserver.server import MODELS, ROOT, TUMOUR, eventually, infer_request, rows
from wire import envelope, identity
from wire.manifest import ReleaseManifest, ReplicaTls, sign
from wire.serving import ServingConfig

MODEL = MODELS / "tumour-1.onnx"
TOKEN = "the-token-of-the-telemetry-" + "t" * 16


@dataclass
class Started:
    """A replica that answers, and every form in which its secrets could be seen."""

    host: ProcessHost
    plan: ReplicaPlan
    secrets: dict[str, bytes]

    @property
    def folder(self) -> Path:
        return self.host.root / self.plan.replica

    def processes(self) -> list[psutil.Process]:
        """The replica and the shell that looks after it."""
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if self.plan.replica in " ".join(process.info["cmdline"] or [])
        ]

    def found_in(self, content: bytes) -> list[str]:
        return [name for name, secret in self.secrets.items() if secret in content]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    folder = tmp_path_factory.mktemp("host")
    keys, authority, key = KeyStore(folder / "secrets"), Authority(folder / "ca"), bytes(range(32))
    replica = ids.public("rep", ids.new_ulid())
    name = identity.replica("staging", "rel_1", replica)
    issued = authority.issue(name, hours=1)
    plain = MODEL.read_bytes()
    host = ProcessHost(
        name=ids.public("hst", ids.new_ulid()),
        root=folder / "replicas",
        source=ROOT,
        memory_bytes=8 * 1024**3,
        drain_wait_seconds=0.1,
    )
    plan = ReplicaPlan(
        replica=replica,
        manifest=sign(_manifest(replica, plain, key, issued, authority), keys.signing_key()),
        trust=keys.trust(),
        place_artifact=lambda folder: _sealed(folder, plain, key),
        limits=Limits(2**31, 1.0, 256),
    )
    host.start(plan)
    eventually(lambda: (seen := host.observe().get(replica)) is not None and seen.port)
    _answers(host.observe()[replica], authority.context_for(name))
    private = ssl.PEM_cert_to_DER_cert(
        issued.key.replace("PRIVATE KEY", "CERTIFICATE")  # the same armour
    )
    yield Started(
        host,
        plan,
        {
            "the key of the artifact": key,
            "the key of the artifact in base64": base64.b64encode(key),
            "the key of the artifact in hexadecimal": key.hex().encode(),
            "the private key": issued.key.splitlines()[1].encode(),
            "the private key in DER": private,
            "the token": TOKEN.encode(),
            # 64 bytes from its middle, where the weights are.
            "the model": plain[len(plain) // 2 : len(plain) // 2 + 64],
        },
    )
    host.stop(replica, force=True)
    eventually(lambda: not host.observe()[replica].running)


def _manifest(
    replica: str, plain: bytes, key: bytes, issued: object, authority: Authority
) -> ReleaseManifest:
    now = int(time.time())
    return ReleaseManifest(
        release="rel_1",
        release_digest="sha256:" + "0" * 64,
        endpoint="tumour",
        environment="staging",
        version=1,
        artifact_digest="sha256:" + hashlib.sha256(plain).hexdigest(),
        signature=TUMOUR,
        config=ServingConfig(),
        replica=replica,
        telemetry_token=TOKEN,
        issued_at=now,
        expires_at=now + 300,
        artifact_key=base64.b64encode(key).decode(),
        tls=ReplicaTls(issued.certificate, issued.key, authority.pem),  # type: ignore[attr-defined]
    )


def _sealed(folder: Path, plain: bytes, key: bytes) -> Path:
    path = folder / "artifact.slw"
    digest = "sha256:" + hashlib.sha256(plain).hexdigest()
    with MODEL.open("rb") as source, path.open("wb") as into:
        envelope.encrypt(source, into, key, digest=digest)
    return path


def _answers(replica: ObservedReplica, context: ssl.SSLContext) -> None:
    url = f"https://{replica.address}:{replica.port}"
    with httpx.Client(base_url=url, verify=context, trust_env=False, timeout=20) as client:
        eventually(lambda: client.get("/v2/health/ready").status_code == 200)
        answer = client.post("/v2/models/tumour/infer", json=infer_request(rows(1)))
        assert answer.status_code == 200


def test_the_secrets_are_what_is_looked_for(started: Started) -> None:
    """Else the tests below would look for nothing."""
    assert started.found_in(MODEL.read_bytes()) == ["the model"]
    assert len(started.processes()) >= 2


def test_nothing_secret_is_in_the_process_table(started: Started) -> None:
    for process in started.processes():
        assert started.found_in("\0".join(process.cmdline()).encode()) == []


def test_nothing_secret_is_in_an_environment(started: Started) -> None:
    for process in started.processes():
        raw = Path(f"/proc/{process.pid}/environ").read_bytes()
        assert started.found_in(raw) == []


def test_nothing_secret_is_on_disk_not_even_the_model(started: Started) -> None:
    files = [path for path in started.folder.rglob("*") if path.is_file()]
    assert {"log", "announce.json", "artifact.slw"} <= {path.name for path in files}
    for path in files:
        assert started.found_in(path.read_bytes()) == [], path


def test_nothing_secret_is_in_a_file_that_has_only_lost_its_name(started: Started) -> None:
    for process in started.processes():
        for path in Path(f"/proc/{process.pid}/fd").iterdir():
            if path.is_file():  # follows the link: sockets and pipes are none
                assert started.found_in(path.read_bytes()) == [], path


def test_the_manifest_cannot_be_read_again_from_standard_input(started: Started) -> None:
    for process in started.processes():
        standard_input = Path(f"/proc/{process.pid}/fd/0")
        if standard_input.exists() and standard_input.is_fifo():
            with standard_input.open("rb", buffering=0) as pipe:
                assert pipe.read() == b""


def test_nothing_secret_is_logged(started: Started) -> None:
    assert started.found_in(started.host.log(started.plan.replica, lines=1000).encode()) == []


def test_a_plan_does_not_show_its_manifest(started: Started) -> None:
    assert started.found_in(repr(started.plan).encode()) == []
    assert "manifest" not in repr(started.plan)
