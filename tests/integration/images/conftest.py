"""Versions, hosts and workers' work in a database of the test's own, on real Engines."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import transaction

from core import clock
from deployments.adapters import artifact_store, hosts
from deployments.models import Artifact, Build, Environment, Host, Image, Model, Version
from deployments.models import Endpoint as EndpointRow
from deployments.ports import HostSilent, ImageStore
from deployments.reconcile import builds, image_work
from deployments.services import images, releases
from governance.models import Team
from tests.app.reconcile.conftest import SAMPLE, SIGNATURE
from tests.integration.engines import Engine
from tests.plugin_tiers import BASE_IMAGE, need
from tests.running import ROOT

LOCAL = "unix:///var/run/docker.sock"
ONNX = ROOT / "demo" / "models" / "tumour-2.onnx"


TINY = "slipway-test/base:1"
"""A base that is one small file: for tests in which nothing runs, and bytes cost time."""


@pytest.fixture(scope="session")
def two_engines() -> Iterator[tuple[Engine, Engine]]:
    """Only the first has the base image. Both have the tiny one."""
    for each in ("docker", "root"):
        need(each)
    with Engine() as first, Engine() as second:
        first.load(BASE_IMAGE)
        give_tiny_base(first)
        yield first, second


def give_tiny_base(engine: Engine) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("base"), io.BytesIO())
    repository, _, tag = TINY.partition(":")
    with engine.client() as client:
        client.api.import_image_from_data(packed.getvalue(), repository=repository, tag=tag)


@dataclass
class Yard:
    """One model in `staging`; versions of whatever bytes a test likes."""

    model: Model
    environment: Environment
    folder: Path

    def host(self, name: str, address: str) -> Host:
        host = Host(environment=self.environment, name=name, kind="docker", address=address)
        host.engine = hosts.connect(host).facts().to_json()
        host.last_contact_at = clock.now()
        host.save()
        return host

    def store(self, host: Host) -> ImageStore:
        return hosts.image_store(host)

    def version(self, content: bytes) -> Version:
        path = self.folder / f"{hashlib.sha256(content).hexdigest()}.onnx"
        path.write_bytes(content)
        digest = f"sha256:{path.stem}"
        if not Artifact.objects.filter(digest=digest).exists():
            stored = artifact_store.put(path, digest)
            Artifact.objects.create(digest=digest, size=stored.size, **stored.columns())
        return Version.objects.create(
            model=self.model,
            number=self.model.versions.count() + 1,
            artifact_id=digest,
            signature=SIGNATURE,
            sample=SAMPLE,
        )

    def wanted(self, version: Version, *, live: bool = True) -> Image:
        """As a rollout asks for it; what is not live is only remembered."""
        with transaction.atomic():
            image = images.wanted(version, self.environment)
            assert image is not None
            endpoint, _ = EndpointRow.objects.get_or_create(
                model=self.model, environment=self.environment
            )
            release = releases.ensure(endpoint, version, image, {}, "")
            if live:
                EndpointRow.objects.filter(pk=endpoint.pk).update(stable_release=release)
            images.bring(image, self.environment)
        return image

    def work(self) -> None:
        """Until nothing is due."""
        for _ in range(10):
            Host.objects.update(last_contact_at=clock.now())
            due = list(builds._due(clock.now()).values_list("pk", flat=True))
            if not due:
                return
            for build in due:
                image_work.work(build)
        raise AssertionError(f"it never ends: {self.outcome()}")

    def outcome(self) -> list[tuple[str, str, str]]:
        rows = Build.objects.select_related("host").order_by("pk")
        return [(row.kind, row.host.name, row.state) for row in rows]


@pytest.fixture
def yard(
    transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> Iterator[Yard]:
    need("docker")
    # A machine that is busy with other tests is slow to answer, and no Engine here is silent.
    configure(settings, host_timeout_seconds=60.0)
    monkeypatch.setattr(artifact_store, "default_storage", FileSystemStorage(tmp_path / "stored"))
    environment, _ = Environment.objects.get_or_create(
        name="staging", defaults={"smoke_secret": "s"}
    )
    model = Model.objects.create(
        name=f"test-{os.urandom(4).hex()}", team=Team.objects.create(name="risk")
    )
    made = Yard(model, environment, tmp_path)
    yield made
    for host in Host.objects.filter(kind="docker"):
        with suppress(HostSilent):  # an Engine of this test's own has gone already
            store = hosts.image_store(host)
            for image in store.ours():
                store.remove_image(image.engine_id)


def configure(settings: Any, **changed: Any) -> None:
    settings.CONFIG = settings.CONFIG.model_copy(update=changed)
