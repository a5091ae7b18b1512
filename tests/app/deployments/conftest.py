"""The registry with a sandbox that runs nothing, and endpoints whose world is fake."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage

from deployments.adapters import artifact_store
from deployments.models import Endpoint, Model
from deployments.services import intake
from governance.models import Team, User
from tests.app.reconcile.conftest import Site
from tests.app.reconcile.conftest import site as site
from tests.factories import people
from tests.factories.api import Api
from tests.fakes.sandbox import FakeSandbox

ONNX = b"\x08\x0a" + b"a model" * 10
DIGEST = "sha256:" + hashlib.sha256(ONNX).hexdigest()


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> FakeSandbox:
    fake = FakeSandbox()
    monkeypatch.setattr(intake.sandbox, "run", fake.run)
    return fake


@pytest.fixture(autouse=True)
def artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which artifacts are stored, one per test."""
    folder = tmp_path / "artifacts"
    monkeypatch.setattr(artifact_store, "default_storage", FileSystemStorage(folder))
    return folder


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(ONNX)
    return path


@pytest.fixture
def tumour(risk: Team) -> Model:
    return Model.objects.create(name="tumour", team=risk)


@pytest.fixture
def alice_api(alice: User) -> Api:
    return Api(token=people.token(alice))


@pytest.fixture
def charlie_api(charlie: User) -> Api:
    return Api(token=people.token(charlie))


@pytest.fixture
def mallory_api(mallory: User) -> Api:
    return Api(token=people.token(mallory))


@pytest.fixture
def operator_api(db: None) -> Api:
    user = people.person("bob")
    people.bind(user, "operator")
    return Api(token=people.token(user))


def stored_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def multipart(
    content: bytes, *, name: str = "artifact", **fields: str
) -> tuple[bytes, dict[str, Any]]:
    """A body and its headers, as a client sends them."""
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="%s"; filename="m.onnx"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n%s\r\n" % (name.encode(), content)
    ]
    parts += [
        b'--edge\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        % (field.encode(), value.encode())
        for field, value in fields.items()
    ]
    return b"".join(parts) + b"--edge--\r\n", {"content_type": "multipart/form-data; boundary=edge"}


@pytest.fixture
def live(site: Site) -> Endpoint:
    """An endpoint with a live release."""
    site.finish(site.start(1))
    return site.endpoint
