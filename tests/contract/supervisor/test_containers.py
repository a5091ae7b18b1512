"""What is left of a stack on this machine's Engine: ended and taken away, and nothing else is."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from controlplane.supervisor import containers
from controlplane.supervisor.config import LOCAL_ENGINE, Ports, StackConfig
from controlplane.supervisor.errors import CannotStart
from core import installation
from tests.plugin_tiers import BASE_IMAGE

pytestmark = pytest.mark.needs("docker")

Run = Callable[..., str]
SLEEP = ["-c", "import time; time.sleep(600)"]


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(base_url=LOCAL_ENGINE, timeout=60)
    yield client
    client.close()


@pytest.fixture
def config(tmp_path: Path) -> StackConfig:
    (tmp_path / "run").mkdir()
    return StackConfig(tmp_path, Ports(8000, {}), engine=LOCAL_ENGINE)


@pytest.fixture
def run(engine: docker.DockerClient) -> Iterator[Run]:
    made: list[docker.models.containers.Container] = []

    def start(owner: str, *, running: bool = True) -> str:
        container = engine.containers.create(
            BASE_IMAGE,
            SLEEP,
            name=f"slipway-test-{uuid.uuid4().hex[:12]}",
            entrypoint=["/opt/slipway/bin/python"],
            labels={"slipway.owner": owner},
            network_mode="none",
        )
        made.append(container)
        if running:
            container.start()
        return str(container.id)

    yield start
    for container in made:
        try:
            container.remove(force=True)
        except docker.errors.NotFound:
            continue


def there(engine: docker.DockerClient, container: str) -> bool:
    try:
        engine.containers.get(container)
    except docker.errors.NotFound:
        return False
    return True


def test_all_of_this_home_are_ended_and_nobody_elses(
    engine: docker.DockerClient, config: StackConfig, run: Run
) -> None:
    containers.remember(config)
    mine = installation.identity(config.home)
    ours = [run(mine), run(mine, running=False)]
    others = run(f"other-{uuid.uuid4().hex}")
    assert containers.end(config.home) == 2
    assert not any(there(engine, each) for each in ours)
    assert there(engine, others)
    assert containers.end(config.home) == 0


def test_an_earlier_runs_containers_are_gone_before_the_next_begins(
    engine: docker.DockerClient, config: StackConfig, run: Run
) -> None:
    left = run(installation.identity(config.home))
    containers.remember(config)
    assert not there(engine, left)


def test_a_home_that_is_wiped_takes_its_images_along(
    engine: docker.DockerClient, config: StackConfig
) -> None:
    containers.remember(config)
    mine = installation.identity(config.home)
    name = f"slipway/test-{uuid.uuid4().hex[:12]}:1"
    dockerfile = f"FROM {BASE_IMAGE}\n".encode()
    image, _ = engine.images.build(
        fileobj=io.BytesIO(dockerfile),
        tag=name,
        labels={"slipway.owner": mine, "slipway.tag": name},
    )
    containers.wipe(config.home)
    with pytest.raises(docker.errors.ImageNotFound):
        engine.images.get(str(image.id))
    assert engine.images.get(BASE_IMAGE)


def test_a_home_without_an_engine_asks_none(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    containers.remember(StackConfig(tmp_path, Ports(8000, {})))
    assert not (tmp_path / "run" / "engine").exists()
    assert containers.end(tmp_path) == 0


def test_an_engine_that_does_not_answer_is_named_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    config = StackConfig(tmp_path, Ports(8000, {}), engine=f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(CannotStart) as refused:
        containers.remember(config)
    assert "No Docker Engine answers" in str(refused.value)
    assert "make services" in str(refused.value)
