"""Replicas to be started by any kind of host: real manifests, a real model, encrypted."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core import ids
from core.keys import KeyStore
from core.pki import Authority
from deployments.adapters import docker_client, image_context
from deployments.adapters.docker_host import DockerHost
from deployments.ports import ContainerHost, Limits, ObservedReplica, ReplicaPlan
from tests.contract.modelserver.server import MODELS, TUMOUR, infer_request, rows
from wire import envelope, identity, version_manifest
from wire.manifest import ReleaseManifest, ReplicaTls, sign
from wire.version_manifest import VersionManifest

MODEL = MODELS / "tumour-1.onnx"
BASE = os.environ.get("SLIPWAY_BASE_IMAGE", "slipway/modelserver:0.1.0")
ENGINE = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
LIMITS = Limits(memory_bytes=1024**3, cpus=1.0, pids=128)
TOKEN = "the-token-of-the-telemetry-" + "t" * 16


def until(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


class Orders:
    """Plans for replicas of one version, whose image is made when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.keys = KeyStore(folder / "secrets")
        self.authority = Authority(folder / "secrets")
        self.key = os.urandom(32)
        self.plain = MODEL.read_bytes()
        self.digest = "sha256:" + hashlib.sha256(self.plain).hexdigest()
        sealed = io.BytesIO()
        envelope.encrypt(io.BytesIO(self.plain), sealed, self.key, digest=self.digest)
        self.sealed = sealed.getvalue()

    def plan(
        self,
        *,
        image: str = "",
        signed_by: Ed25519PrivateKey | None = None,
        limits: Limits = LIMITS,
    ) -> ReplicaPlan:
        replica = ids.public("rep", ids.new_ulid())
        manifest = sign(self.manifest(replica), signed_by or self.keys.signing_key())
        return ReplicaPlan(replica, manifest, self.keys.trust(), self._place, limits, image)

    def manifest(self, replica: str) -> ReleaseManifest:
        name = identity.replica("staging", "rel_1", replica)
        issued = self.authority.issue(name, hours=1)
        now = int(time.time())
        return ReleaseManifest(
            release="rel_1",
            release_digest="sha256:" + "0" * 64,
            endpoint="tumour",
            environment="staging",
            version=1,
            artifact_digest=self.digest,
            signature=TUMOUR,
            replica=replica,
            telemetry_token=TOKEN,
            issued_at=now,
            expires_at=now + 600,
            artifact_key=base64.b64encode(self.key).decode(),
            tls=ReplicaTls(issued.certificate, issued.key, self.authority.pem),
        )

    def image(self, host: DockerHost) -> str:
        """On this host's Engine, of this host's owner."""
        held = VersionManifest(
            "tumour", 1, self.digest, "sha256:" + hashlib.sha256(self.sealed).hexdigest(), TUMOUR
        )
        context = image_context.stream(
            base=host.id_of(BASE),
            artifact=io.BytesIO(self.sealed),
            artifact_size=len(self.sealed),
            manifest=version_manifest.sign(held, self.keys.signing_key()),
        )
        build = host.build(context, tag=f"slipway/{host.owner}:1", labels={"slipway.image": "img"})
        lines = list(build)
        assert lines
        return build.result()

    def answers(self, seen: ObservedReplica) -> bool:
        """Whether it predicts, asked as the control plane asks it."""
        assert seen.port is not None
        context = self.authority.context_for(identity.replica("staging", "rel_1", seen.replica))
        with _client(seen, context) as client:
            until(lambda: _is_ready(client))
            answer = client.post("/v2/models/tumour/infer", json=infer_request(rows(1)))
        return answer.status_code == 200

    def _place(self, folder: Path) -> Path:
        path = folder / "artifact.slw"
        path.write_bytes(self.sealed)
        return path


@contextmanager
def docker_host(
    *, address: str = ENGINE, publish: str = "127.0.0.1", seconds: float = 20.0
) -> Iterator[DockerHost]:
    """A host and a Slipway of a test's own; all that they make is gone afterwards."""
    host = DockerHost(
        engine=docker_client.engine(address, None, seconds=seconds),
        owner=f"test-{uuid.uuid4().hex[:12]}",
        name=ids.public("hst", ids.new_ulid()),
        publish_address=publish,
        base_image=BASE,
        drain_wait_seconds=0.1,
    )
    try:
        yield host
    finally:
        clear(host)


def clear(host: DockerHost) -> None:
    """Whatever this owner has on its Engine."""
    client = host.engine.client(60.0)
    mine = {"label": f"slipway.owner={host.owner}"}
    for found in client.containers(all=True, filters=mine):
        client.remove_container(found["Id"], force=True, v=True)
    for image in host.ours():
        host.remove_image(image.engine_id)


def neighbour(host: DockerHost, *, owner: str = "") -> DockerHost:
    """Another host on the same Engine, of the same Slipway or of another one."""
    return replace(host, name=ids.public("hst", ids.new_ulid()), owner=owner or host.owner)


def seen(host: ContainerHost, replica: str) -> ObservedReplica | None:
    return host.observe().get(replica)


def listens(host: ContainerHost, replica: str) -> bool:
    observed = seen(host, replica)
    return observed is not None and observed.running and observed.port is not None


def ended(host: ContainerHost, replica: str) -> bool:
    observed = seen(host, replica)
    return observed is not None and not observed.running and observed.exit_code is not None


def is_up(host: ContainerHost, replica: str) -> bool:
    """It has said that it is ready, so that it hears signals."""
    return listens(host, replica) and '"ready"' in host.log(replica, lines=50)


def _client(seen: ObservedReplica, context: ssl.SSLContext) -> httpx.Client:
    url = f"https://{seen.address}:{seen.port}"
    return httpx.Client(base_url=url, verify=context, trust_env=False, timeout=20)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/v2/health/ready").status_code == 200
    except httpx.TransportError:
        return False
