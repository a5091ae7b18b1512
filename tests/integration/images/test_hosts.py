"""From the Engine that built an image to the others, and away again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from docker.models.images import Image as EngineImage

from core import clock
from deployments.models import Build, ImageCopy
from deployments.services import garbage
from governance.domain.access import SYSTEM
from tests.integration.engines import Engine
from tests.integration.images.conftest import TINY, Yard, configure, give_tiny_base
from tests.plugin_tiers import BASE_IMAGE, need
from tests.running import eventually, free_ports

pytestmark = pytest.mark.needs("docker", "root")


def ids(engine: Engine) -> set[str]:
    """Of everything that the Engine has, intermediate layers included."""
    with engine.client() as client:
        return {str(each.id) for each in client.images.list(all=True)}


def stranger(engine: Engine, name: str) -> str:
    """Somebody's image on the same base, under a name that could be ours."""
    with engine.client() as client:
        base: EngineImage = client.images.get(BASE_IMAGE)
        made = client.containers.create(base.id, labels={"of": "somebody"})
        try:
            return str(made.commit(repository=name, tag="1").id)
        finally:
            made.remove()


def test_an_image_is_built_once_and_streamed_to_a_host_without_the_base(
    yard: Yard, two_engines: tuple[Engine, Engine]
) -> None:
    first, second = two_engines
    north, south = yard.host("north", first.unix), yard.host("south", second.unix)
    image = yard.wanted(yard.version(b"a model" * 1000))
    yard.work()
    assert yard.outcome() == [("build", "north", "succeeded"), ("copy", "south", "succeeded")]
    image.refresh_from_db()
    copies = {copy.host_id: copy.engine_id for copy in ImageCopy.objects.all()}
    assert copies == {north.pk: image.engine_id, south.pk: image.engine_id}
    assert yard.store(south).id_of(image.engine_id)
    assert image.size > 100_000_000
    with second.client() as client:
        said = client.containers.run(image.engine_id, ["--help"], remove=True, network_mode="none")
    assert b"serve" in said


def test_the_same_inputs_are_found_again_though_every_row_was_lost(
    yard: Yard, two_engines: tuple[Engine, Engine]
) -> None:
    first, _ = two_engines
    yard.host("north", first.unix)
    image = yard.wanted(yard.version(b"the same" * 1000))
    yard.work()
    image.refresh_from_db()
    before, engine_id = ids(first), image.engine_id
    Build.objects.all().delete()
    ImageCopy.objects.all().delete()
    type(image).objects.update(engine_id="")
    yard.wanted(image.version)
    yard.work()
    image.refresh_from_db()
    assert image.engine_id == engine_id
    assert ids(first) == before
    assert "already" in Build.objects.get().log


def test_of_all_images_the_older_ones_of_ours_go_and_a_strangers_stay(
    yard: Yard, two_engines: tuple[Engine, Engine], settings: Any
) -> None:
    configure(settings, keep_images=2, base_image=TINY)
    first, _ = two_engines
    north = yard.host("north", first.unix)
    theirs = stranger(first, "slipway/tumour")
    before = ids(first)
    made = []
    for number in range(5):
        made.append(yard.wanted(yard.version(b"version %d " % number * 100), live=number == 1))
        yard.work()
    for image in made:
        image.refresh_from_db()
    assert len({image.engine_id for image in made}) == 5
    with first.client() as client:
        used = client.containers.create(made[2].engine_id, ["nothing"])
        try:
            told = garbage.collect(actor=SYSTEM, dry_run=True)
            assert ids(first) >= before | {image.engine_id for image in made}
            done = garbage.collect(actor=SYSTEM)
        finally:
            used.remove()
    [cleaned] = done
    assert {each.engine_id for each in cleaned.removals} == {made[0].engine_id}
    assert [each.engine_id for each in told[0].removals] == [made[0].engine_id]
    assert yard.store(north).id_of(made[0].engine_id) == ""
    assert theirs in ids(first)
    assert before <= ids(first)
    garbage.collect(actor=SYSTEM)
    assert yard.store(north).id_of(made[2].engine_id) == "", "no container needs it any more"
    assert yard.store(north).id_of(made[1].engine_id), "it is live"
    with first.client() as client:
        client.images.remove(theirs)


# --- through a registry --------------------------------------------------------------------------


@pytest.fixture
def registry(tmp_path: Path, two_engines: tuple[Engine, Engine]) -> Iterator[str]:
    """Debian's docker-registry, at an address that both Engines reach."""
    need("docker-registry")
    [port] = free_ports(1)
    address = f"{two_engines[0].wire.here}:{port}"
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}\n"
        f"http: {{addr: 0.0.0.0:{port}}}\nlog: {{level: warn}}\n"
    )
    with (tmp_path / "registry.log").open("wb") as log:
        program = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=log, stderr=log
        )

    def answers() -> bool:
        assert program.poll() is None, (tmp_path / "registry.log").read_text()
        try:
            return httpx.get(f"http://{address}/v2/", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        eventually(answers, what="the registry answers")
        yield address
    finally:
        program.terminate()
        program.wait(30)


def test_with_a_registry_hosts_pull_what_the_first_has_pushed(
    yard: Yard, two_engines: tuple[Engine, Engine], registry: str, settings: Any
) -> None:
    configure(settings, registry=f"{registry}/slipway", base_image=TINY)
    first, second = two_engines
    yard.host("north", first.unix)
    south = yard.host("south", second.unix)
    image = yard.wanted(yard.version(b"through a registry" * 1000))
    yard.work()
    assert yard.outcome() == [("build", "north", "succeeded"), ("copy", "south", "succeeded")]
    image.refresh_from_db()
    name = f"{registry}/slipway/{yard.model.name}@sha256:"
    assert image.registry_reference.startswith(name)
    assert f"Pulling {name}" in Build.objects.get(kind="copy").log
    [copy] = ImageCopy.objects.filter(host=south)
    assert copy.engine_id == image.engine_id
    yard.model.endpoints.update(stable_release=None)
    configure(settings, keep_images=1)
    older = yard.wanted(yard.version(b"a newer one" * 1000))
    yard.work()
    garbage.collect(actor=SYSTEM)
    assert yard.store(south).id_of(copy.engine_id) == "", "pulled images are let go of as well"
    assert older.copies.count() == 2


# --- a full disk ---------------------------------------------------------------------------------


@pytest.fixture
def small() -> Iterator[Engine]:
    """An Engine with a disk of its own, which is small."""
    with Engine(disk_bytes=200 * 1024**2) as engine:
        give_tiny_base(engine)
        yield engine


def test_a_disk_that_is_full_fails_the_build_and_room_lets_it_succeed(
    yard: Yard, small: Engine, settings: Any
) -> None:
    configure(settings, base_image=TINY)
    north = yard.host("north", small.unix)
    image = yard.wanted(yard.version(bytes(range(256)) * 80 * 1024))  # 20 MiB
    before = ids(small)
    with small.client() as client:
        theirs = client.containers.create(TINY, ["nothing"])
    filler = small.data / "filler"
    with filler.open("wb") as file:
        while small.free_bytes() > 12 * 1024**2:
            file.write(b"\0" * 4 * 1024**2)
            file.flush()
    yard.work()
    build = Build.objects.get()
    assert (build.state, build.attempts) == ("queued", 1), build.log
    assert build.failure is not None
    assert build.failure["code"] == "build:disk-full"
    assert "no space left" in build.failure["evidence"]["build_log"].lower()
    with small.client() as client:
        assert {each.id for each in client.containers.list(all=True)} == {theirs.id}
    assert before <= ids(small)
    filler.unlink()
    Build.objects.update(not_before=clock.now())
    yard.work()
    assert yard.outcome() == [("build", "north", "succeeded")]
    image.refresh_from_db()
    assert yard.store(north).id_of(image.engine_id)
