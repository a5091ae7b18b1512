"""docker-compose.yml as it is, on this machine's Engine, from nothing to a rollback under load.

The images of PostgreSQL, Redis and Envoy are stand-ins where the official ones cannot be pulled;
the control plane's own are built by its own Dockerfile.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import httpx
import pytest

from tests.integration.compose import stand_ins
from tests.running import eventually, free_ports

ROOT = Path(__file__).parents[3]
STORY = Path(__file__).with_name("story.py")
PROJECT = "slipwaycomposetest"
SERVICES = ("web", "worker", "beat", "collector", "edge", "postgres", "redis")
GATEWAYS = ("gateway-staging", "gateway-production")

pytestmark = [pytest.mark.needs("docker", "envoy", "root"), pytest.mark.xdist_group("compose")]


@dataclass(frozen=True)
class Deployment:
    """One running docker-compose project; `folder` holds its file and its secrets."""

    folder: Path
    environ: dict[str, str]
    client: docker.DockerClient

    def compose(self, *words: str, limit: float = 300) -> str:
        done = subprocess.run(
            ["docker-compose", "--project-name", PROJECT, *words],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def containers(self, service: str = "") -> list[docker.models.containers.Container]:
        labels = [f"com.docker.compose.project={PROJECT}"]
        if service:
            labels.append(f"com.docker.compose.service={service}")
        return self.client.containers.list(filters={"label": labels})

    @property
    def web(self) -> str:
        return f"https://127.0.0.1:{self.environ['SLIPWAY_WEB_PORT']}"

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.web}/livez", verify=False, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def ready(self) -> bool:
        try:
            answer = httpx.get(f"{self.web}/readyz", verify=False, timeout=5)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and answer.json()["status"] == "ready"

    def healthy(self) -> bool:
        found = self.containers()
        return all(
            it.attrs["State"].get("Health", {"Status": "healthy"})["Status"] == "healthy"
            for it in found
        )


def started_at(container: docker.models.containers.Container) -> str:
    container.reload()
    return str(container.attrs["State"]["StartedAt"])


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    client = docker.from_env(timeout=600)
    stand_ins.make(client)
    subprocess.run([sys.executable, "-m", "scripts.images", "controlplane"], cwd=ROOT, check=True)
    folder = tmp_path_factory.mktemp("compose")
    shutil.copy(ROOT / "docker-compose.yml", folder)
    for name in ("compose/edge.yaml", "scripts/compose-secrets.sh"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    subprocess.run(["bash", "scripts/compose-secrets.sh"], cwd=folder, check=True)
    ports = ("WEB_PORT", "GATEWAY_PORT_STAGING", "GATEWAY_PORT_PRODUCTION")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "DOCKER_GID": stand_ins.docker_group(),
        **{f"SLIPWAY_{name}": str(port) for name, port in zip(ports, free_ports(3), strict=True)},
    }
    running = Deployment(folder, environ, client)
    before = {it.id for it in client.containers.list(all=True)}
    try:
        running.compose("up", "--detach", "--scale", "web=2", "--scale", "worker=2")
        eventually(running.ready, within=120)
        yield running
    finally:
        said = running.compose("logs", "--no-color", "--tail", "60")
        sys.stdout.write(said)  # pytest shows it when something failed
        running.compose("down", "--volumes", "--timeout", "20")
        for container in client.containers.list(all=True, filters={"label": "slipway.replica"}):
            if container.id not in before:
                container.remove(force=True)


def test_everything_is_up_healthy_and_twice_where_it_should_be(deployment: Deployment) -> None:
    eventually(deployment.healthy, within=120)
    for service in (*SERVICES, *GATEWAYS):
        wanted = 2 if service in ("web", "worker") else 1
        assert len(deployment.containers(service)) == wanted, service


def test_no_container_is_root_or_may_write_its_files(deployment: Deployment) -> None:
    for container in deployment.containers():
        described = container.attrs
        assert described["Config"]["User"].partition(":")[0] not in ("", "0", "root"), (
            container.name
        )
        assert described["HostConfig"]["ReadonlyRootfs"], container.name
        assert described["HostConfig"]["CapDrop"] == ["ALL"], container.name
        assert "no-new-privileges:true" in described["HostConfig"]["SecurityOpt"], container.name


def test_no_secret_is_in_an_environment_or_on_a_command_line(deployment: Deployment) -> None:
    secrets = [
        (deployment.folder / "compose/secrets" / name).read_text()
        for name in ("postgres_password", "redis_password")
    ]
    for container in deployment.containers():
        described = json.dumps(container.attrs)
        processes = json.dumps(container.top()["Processes"])
        for secret in secrets:
            assert secret not in described, container.name
            assert secret not in processes, container.name


def test_redis_answers_nobody_without_the_password(deployment: Deployment) -> None:
    (redis,) = deployment.containers("redis")
    code, said = redis.exec_run(["redis-cli", "ping"])
    assert b"NOAUTH" in said, (code, said)


def test_the_story_is_told_from_container_to_container(deployment: Deployment) -> None:
    """Build, rollout, rollout under load, a refusal, a rollback: by a client in a container, on
    replicas in containers, every attempt counted."""
    said = deployment.compose(
        "run", "--rm", "-T", "web", "python", "manage.py", "bootstrap_admin", "--token"
    )
    token_file = deployment.folder / "token"
    token_file.write_text(json.loads(said.strip().splitlines()[-1])["token"])
    token_file.chmod(0o644)  # within a folder of root's
    gateway_of_bridge = deployment.client.networks.get("bridge").attrs["IPAM"]["Config"][0][
        "Gateway"
    ]
    told = deployment.client.containers.run(
        "slipway/controlplane:0.1.0",
        ["python", "story.py", "/run/token", gateway_of_bridge],
        remove=True,
        network=f"{PROJECT}_inner",
        user="10001:10001",
        read_only=True,
        tmpfs={"/tmp": "size=64m"},
        environment={"SLIPWAY_CA_BUNDLE": "/public/authority.pem"},
        volumes={
            f"{PROJECT}_public": {"bind": "/public", "mode": "ro"},
            str(token_file): {"bind": "/run/token", "mode": "ro"},
            str(STORY): {"bind": "/slipway/story.py", "mode": "ro"},
        },
    )
    ended = json.loads(told.decode().strip().splitlines()[-1])
    assert ended["rollouts"] == {
        "version 1": "promoted",
        "version 2": "promoted",
        "version 3": "failed",
        "roll back to 1": "promoted",
    }
    traffic = ended["traffic"]
    assert traffic["failed"] == 0, traffic["failures"]
    assert traffic["sent"] == traffic["ok"] > 200
    replicas = deployment.client.containers.list(filters={"label": "slipway.endpoint=tumour"})
    assert replicas, "no replica runs in a container"
    assert all(len(it.id) == 64 for it in replicas)


def test_a_killed_web_is_no_outage_of_the_page(deployment: Deployment) -> None:
    """The other one answers, and the killed one comes back."""
    first, *_ = deployment.containers("web")
    was = first.attrs["State"]["StartedAt"]
    first.kill()
    eventually(deployment.answers, within=30)
    first.reload()
    if first.status != "running":  # `docker kill` counts as stopped by hand
        first.start()
    eventually(lambda: started_at(first) != was, within=60)
    eventually(deployment.ready, within=60)
