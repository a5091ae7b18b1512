"""What somebody finds who has an image, the Engine that built it, and the logs."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import closing

import docker
import pytest

from core import installation
from deployments.adapters import artifact_store
from deployments.models import Build, Image, Version
from tests.integration.images.conftest import LOCAL, ONNX, Yard
from wire import envelope, version_manifest

pytestmark = pytest.mark.needs("docker")

PIECE = 32
"""So many bytes of the model in a row are no accident, if they differ from one another."""


@pytest.fixture
def built(yard: Yard) -> tuple[Version, Image]:
    yard.host("local", LOCAL)
    version = yard.version(ONNX.read_bytes())
    image = yard.wanted(version)
    yard.work()
    image.refresh_from_db()
    assert image.engine_id, Build.objects.get().log
    return version, image


def layers(blob: bytes) -> Iterator[tuple[str, bytes]]:
    """Every file of every layer, and every file of the archive itself."""
    with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
        for member in archive:
            if not member.isfile():
                continue
            content = archive.extractfile(member).read()  # type: ignore[union-attr]
            yield member.name, content
            if member.name.endswith("layer.tar"):
                with tarfile.open(fileobj=io.BytesIO(content)) as layer:
                    for inner in layer:
                        if inner.isfile():
                            yield inner.name, layer.extractfile(inner).read()  # type: ignore[union-attr]


def test_nothing_secret_is_in_its_layers_history_labels_or_log(
    built: tuple[Version, Image], settings: object
) -> None:
    version, image = built
    plain = ONNX.read_bytes()
    key = artifact_store.key_of(version.artifact)
    keys = [key, key.hex().encode(), base64.b64encode(key)]
    secrets = [*keys, base64.urlsafe_b64encode(key)]
    pieces = [plain[at : at + PIECE] for at in range(0, len(plain) - PIECE, 64)]
    telling = [piece for piece in pieces if len(set(piece)) >= 18]
    assert len(telling) > 25
    secrets += telling
    secrets += [settings.KEYS.raw(name) for name in ("signing", "release", "audit")]  # type: ignore[attr-defined]
    secrets.append(version.artifact.wrapped_key.encode())
    with closing(docker.DockerClient(base_url=LOCAL, timeout=120)) as engine:
        saved = b"".join(engine.images.get(image.engine_id).save())
        told = json.dumps(
            [
                engine.api.inspect_image(image.engine_id),
                engine.api.history(image.engine_id),
                Build.objects.get().log,
            ]
        ).encode()
    files = dict(layers(saved))
    mine = {name: content for name, content in files.items() if name.startswith("slipway/")}
    assert "slipway/artifact.slw" in mine
    assert not [key for key in keys if key in saved]
    # The base was there before the model was, and is large.
    places = {"inspect, history and log": told, **mine}
    places |= {name: content for name, content in files.items() if name.endswith(".json")}
    found = [
        (place, secret)
        for place, content in places.items()
        for secret in secrets
        if secret in content
    ]
    assert found == []


def test_what_it_holds_is_the_artifact_for_whoever_has_the_key(
    built: tuple[Version, Image], settings: object
) -> None:
    version, image = built
    with closing(docker.DockerClient(base_url=LOCAL, timeout=120)) as engine:
        saved = dict(layers(b"".join(engine.images.get(image.engine_id).save())))
    sealed = saved["slipway/artifact.slw"]
    manifest = version_manifest.verify(
        saved["slipway/version.json"],
        settings.KEYS.signing_key().public_key(),  # type: ignore[attr-defined]
    )
    assert manifest.artifact_digest == version.artifact_id
    assert manifest.stored_digest == version.artifact.stored_digest
    key = artifact_store.key_of(version.artifact)
    plain = envelope.decrypt_bytes(io.BytesIO(sealed), key, digest=version.artifact_id)
    assert plain == ONNX.read_bytes()


def test_it_is_labelled_and_runs_as_nobody(built: tuple[Version, Image], settings: object) -> None:
    version, image = built
    with closing(docker.DockerClient(base_url=LOCAL, timeout=120)) as engine:
        inspected = engine.api.inspect_image(image.engine_id)
    labels, config = inspected["Config"]["Labels"], inspected["Config"]
    assert labels["org.opencontainers.image.title"] == version.model.name
    assert labels["org.opencontainers.image.version"] == str(version.number)
    assert labels["org.opencontainers.image.base.digest"] == image.base_id
    assert labels["slipway.owner"] == installation.identity(settings.HOME)  # type: ignore[attr-defined]
    assert labels["slipway.image"] == image.public_id
    assert labels["slipway.digest"] == image.digest
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["/opt/slipway/bin/python", "-m", "modelserver"]
    assert not any("KEY" in each or "TOKEN" in each for each in config["Env"])
