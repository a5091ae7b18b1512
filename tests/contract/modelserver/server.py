"""A real replica process for tests: made, awaited, stopped; always ended by its own pid."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wire import manifest as manifests
from wire.manifest import ReleaseManifest
from wire.serving import ServingConfig
from wire.signature import Signature, TensorSpec

T = TypeVar("T")

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "demo" / "models"
TOKEN = "the-replicas-token"
REPLICA = "rep_01JD0000000000000000000001"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
TUMOUR = Signature(
    (TensorSpec("X", "FP32", (-1, 30)),),
    (TensorSpec("label", "INT64", (-1,)), TensorSpec("probabilities", "FP32", (-1, 2))),
)


def digest(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def manifest_for(artifact: Path, **changes: Any) -> ReleaseManifest:
    now = int(time.time())
    manifest = ReleaseManifest(
        release="rel_01JD0000000000000000000001",
        release_digest="sha256:" + "0" * 64,
        endpoint="tumour",
        environment="staging",
        version=1,
        artifact_digest=digest(artifact),
        signature=TUMOUR,
        config=ServingConfig(),
        replica=REPLICA,
        telemetry_token=TOKEN,
        issued_at=now,
        expires_at=now + 300,
    )
    return replace(manifest, **changes)


@dataclass(frozen=True)
class Replica:
    process: subprocess.Popen[bytes]
    announced: Mapping[str, Any]
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        return self.announced["address"], self.announced["port"]

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self.address)

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=10, trust_env=False)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def ready(self) -> bool:
        with self.client() as client:
            return client.get("/v2/health/ready").status_code == 200


def eventually(look: Callable[[], T], seconds: float = 20) -> T:
    """The first true answer of `look`; fails the test when none comes in time."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
    return seen


def spawn(
    folder: Path,
    blob: bytes,
    artifact: Path,
    *,
    drain_wait: float = 0.2,
    replica: str = REPLICA,
    grpc: bool = False,
    announce: bool = True,
    more: Sequence[str] = (),
) -> tuple[subprocess.Popen[bytes], Path, Path]:
    """Starts the program and hands it its manifest; returns it, its announce file and its log.
    `more` are further options of the command line."""
    announced, log = folder / "announce.json", folder / "replica.log"
    command = [
        *(sys.executable, "-m", "modelserver", "serve"),
        *("--artifact", str(artifact)),
        *("--trust", manifests.trust_text(KEY.public_key())),
        *("--name", f"hst_01JD0000000000000000000001/{replica}"),
        *("--bind", "127.0.0.1:0"),
        *("--drain-wait", str(drain_wait)),
        *(("--announce", str(announced)) if announce else ()),
        *(("--grpc-bind", "127.0.0.1:0") if grpc else ()),
        *more,
    ]
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=stderr, cwd=folder, env={"PYTHONPATH": str(ROOT)}
        )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(blob)
        process.stdin.close()
    return process, announced, log


def _announced(announce: Path, pid: int) -> Mapping[str, Any]:
    """Empty until this process has announced itself; an older announcement does not count."""
    said: dict[str, Any] = json.loads(announce.read_text()) if announce.exists() else {}
    return said if said.get("pid") == pid else {}


@contextlib.contextmanager
def running(
    folder: Path,
    artifact: Path = MODELS / "tumour-1.onnx",
    *,
    drain_wait: float = 0.2,
    wait_ready: bool = True,
    grpc: bool = False,
    more: Sequence[str] = (),
    **changes: Any,
) -> Iterator[Replica]:
    """A replica that has announced itself and, unless told otherwise, is ready."""
    blob = manifests.sign(manifest_for(artifact, **changes), KEY)
    process, announce, log = spawn(
        folder,
        blob,
        artifact,
        drain_wait=drain_wait,
        replica=changes.get("replica", REPLICA),
        grpc=grpc,
        more=more,
    )
    try:
        eventually(lambda: _announced(announce, process.pid) or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        replica = Replica(process, _announced(announce, process.pid), log)
        if wait_ready:
            eventually(replica.ready)
        yield replica
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)


def rows(count: int) -> list[list[float]]:
    table: list[list[float]] = json.loads((MODELS / "rows.json").read_text())["rows"]
    return table[:count]


def infer_request(table: list[list[float]], **more: Any) -> dict[str, Any]:
    tensor = {"name": "X", "shape": [len(table), 30], "datatype": "FP32", "data": table}
    return {"inputs": [tensor]} | more
