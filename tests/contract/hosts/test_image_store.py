"""Engines that hold images: the fake and a real one answer alike."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from deployments.adapters import docker_client, image_context
from deployments.adapters.docker_host import DockerHost
from deployments.ports import HostRefused, ImageMissing, ImageStore
from tests.fakes.image_store import FakeImageStore
from tests.plugin_tiers import need

ENGINE = "unix:///var/run/docker.sock"


class Made(Protocol):
    """What a test needs to know of the store that it is given."""

    store: ImageStore
    base: str


class Fake:
    def __init__(self) -> None:
        self.store = FakeImageStore()
        self.base = next(iter(self.store.bases))


class Real:
    """An owner of its own for each test, so that none sees what another one made."""

    def __init__(self) -> None:
        self.store = DockerHost(
            engine=docker_client.engine(ENGINE, None, seconds=20.0),
            owner=f"test-{uuid.uuid4().hex[:12]}",
            name="hst_test",
            publish_address="127.0.0.1",
            base_image="slipway/modelserver:0.1.0",
            drain_wait_seconds=0.1,
        )
        self.base = self.store.id_of("slipway/modelserver:0.1.0")


@pytest.fixture(params=["fake", "docker"])
def made(request: pytest.FixtureRequest) -> Iterator[Made]:
    if request.param == "fake":
        yield Fake()
        return
    need("docker")
    real = Real()
    yield real
    for image in real.store.ours():
        real.store.remove_image(image.engine_id)


@pytest.fixture
def tag() -> str:
    return f"slipway/test-{uuid.uuid4().hex[:12]}:{uuid.uuid4().hex}"


def build(made: Made, tag: str, content: bytes = b"ciphertext") -> tuple[str, list[str]]:
    context = image_context.stream(
        base=made.base, artifact=io.BytesIO(content), artifact_size=len(content), manifest=b"{}"
    )
    running = made.store.build(context, tag=tag, labels={"slipway.image": "img_1", "a": "b"})
    lines = list(running)
    return running.result(), lines


def test_what_is_not_there_has_no_id(made: Made, tag: str) -> None:
    assert made.store.id_of(tag) == ""
    assert made.store.ours() == []


def test_a_build_says_what_it_does_and_gives_an_image_with_a_name_and_an_owner(
    made: Made, tag: str
) -> None:
    engine_id, lines = build(made, tag)
    assert engine_id.startswith("sha256:")
    assert any("COPY" in line for line in lines)
    assert made.store.id_of(tag) == engine_id
    assert made.store.id_of(engine_id) == engine_id
    [mine] = made.store.ours()
    assert (mine.engine_id, mine.image, mine.in_use) == (engine_id, "img_1", False)
    assert mine.size > 0


def test_the_same_content_is_the_same_image(made: Made, tag: str) -> None:
    first, _ = build(made, tag)
    second, _ = build(made, tag)
    assert first == second
    assert len(made.store.ours()) == 1


def test_a_build_on_a_base_that_is_not_there_is_refused_with_the_engines_words(
    made: Made, tag: str
) -> None:
    made.base = "sha256:" + "0" * 64
    with pytest.raises(HostRefused) as refused:
        build(made, tag)
    assert refused.value.detail
    assert made.store.ours() == []


def test_what_is_saved_by_its_name_has_it_again_once_it_is_loaded(made: Made, tag: str) -> None:
    engine_id, _ = build(made, tag)
    packed = list(made.store.save(tag))
    assert len(packed) >= 1
    made.store.remove_image(engine_id)
    assert made.store.id_of(tag) == ""
    made.store.load(iter(packed))
    assert made.store.id_of(tag) == engine_id
    assert [each.engine_id for each in made.store.ours()] == [engine_id]


def test_saving_what_is_not_there_says_that_it_is_missing(made: Made) -> None:
    with pytest.raises(ImageMissing):
        list(made.store.save("sha256:" + "0" * 64))


def test_removing_twice_is_no_error_and_leaves_the_others(made: Made, tag: str) -> None:
    first, _ = build(made, tag, b"one")
    second, _ = build(made, f"{tag}2", b"two")
    made.store.remove_image(first)
    made.store.remove_image(first)
    assert [each.engine_id for each in made.store.ours()] == [second]


def test_what_is_not_ours_is_neither_listed_nor_removed(made: Made, tag: str) -> None:
    build(made, tag)
    with pytest.raises(HostRefused):
        _stranger(made).remove_image(made.store.id_of(tag))
    assert made.store.id_of(tag)
    assert _stranger(made).ours() == []


def _stranger(made: Made) -> ImageStore:
    """Another Slipway on the same Engine."""
    if isinstance(made, Fake):
        return FakeImageStore(owner="another", images=made.store.images)
    assert isinstance(made.store, DockerHost)
    from dataclasses import replace

    return replace(made.store, owner="another")


def test_the_context_is_a_tar_with_three_files_and_the_same_bytes_each_time(
    tmp_path: Path,
) -> None:
    import tarfile

    def packed() -> bytes:
        return b"".join(
            image_context.stream(
                base="sha256:1",
                artifact=io.BytesIO(b"x" * 1_500_000),
                artifact_size=1_500_000,
                manifest=b"{}",
            )
        )

    assert packed() == packed()
    with tarfile.open(fileobj=io.BytesIO(packed())) as archive:
        assert archive.getnames() == ["Dockerfile", "version.json", "artifact.slw"]
        assert archive.getmember("artifact.slw").size == 1_500_000
        assert {member.mode for member in archive} == {0o444}
