"""Encrypting what was stored plain, and rotating the key of the artifacts' keys."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.core.management import CommandError, call_command

from core.errors import NotAllowed
from core.keys import KeyStore
from deployments.adapters import artifact_store
from deployments.models import Artifact
from deployments.services import artifacts as service
from governance.models import AuditEvent, User
from tests.app.deployments.conftest import DIGEST, ONNX, stored_files
from tests.factories.people import actor

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, settings: Any) -> KeyStore:
    settings.KEYS = KeyStore(tmp_path / "secrets")
    return settings.KEYS


@pytest.fixture
def artifact(onnx_file: Path) -> Artifact:
    stored = artifact_store.put(onnx_file, DIGEST)
    return Artifact.objects.create(digest=DIGEST, size=stored.size, **stored.columns())


@pytest.fixture
def plain(artifacts: Path) -> Artifact:
    name = FileSystemStorage(artifacts).save("sha256/plain", ContentFile(ONNX))
    return Artifact.objects.create(digest=DIGEST, size=len(ONNX), storage_name=name)


def run(command: str, *arguments: str) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_everything_that_was_stored_plain_is_encrypted_once(
    plain: Artifact, artifacts: Path
) -> None:
    assert "Encrypted 1 artifacts" in run("encrypt_artifacts")
    assert "Encrypted 0 artifacts" in run("encrypt_artifacts")
    assert artifact_store.is_sound(Artifact.objects.get())
    assert len(stored_files(artifacts)) == 1
    assert [event.action for event in AuditEvent.objects.all()] == ["artifact.encrypt"]


def test_one_that_was_changed_is_named_and_left(plain: Artifact, artifacts: Path) -> None:
    stored_files(artifacts)[0].write_bytes(b"changed")
    with pytest.raises(CommandError, match="1 artifacts are still plain"):
        run("encrypt_artifacts")
    assert not AuditEvent.objects.exists()


def test_a_rotation_changes_the_wrapping_and_nothing_else(
    artifact: Artifact, artifacts: Path
) -> None:
    key, content = artifact_store.key_of(artifact), stored_files(artifacts)[0].read_bytes()
    assert "1 artifacts by key 2" in run("rewrap_artifacts")
    after = Artifact.objects.get()
    assert after.wrapped_key.startswith("2.")
    assert artifact_store.key_of(after) == key
    assert (after.storage_name, after.stored_digest) == (
        artifact.storage_name,
        artifact.stored_digest,
    )
    assert stored_files(artifacts)[0].read_bytes() == content
    assert AuditEvent.objects.get().action == "artifact.rewrap"


def test_the_replaced_key_is_kept_until_no_registration_can_need_it(
    artifact: Artifact, keys: KeyStore
) -> None:
    assert "Deleted" not in run("rewrap_artifacts", "--retire")
    _made_long_ago(keys.folder / "seal-artifacts.2")
    assert "Deleted key 1." in run("rewrap_artifacts", "--retire")
    assert {path.name for path in keys.folder.glob("seal-artifacts*")} == {
        "seal-artifacts.2",
        "seal-artifacts.3",
    }
    assert artifact_store.is_sound(Artifact.objects.get())


def test_a_key_that_is_still_needed_is_not_deleted(
    artifact: Artifact, keys: KeyStore, onnx_file: Path
) -> None:
    """Here by an artifact whose key cannot be opened any more, so that it kept its wrapping."""
    Artifact.objects.create(digest="sha256:" + "b" * 64, size=1, wrapped_key="1.AAAA")
    keys.rotate("artifacts")
    _made_long_ago(keys.folder / "seal-artifacts.2")
    with pytest.raises(CommandError, match="1 artifacts keep"):
        run("rewrap_artifacts", "--retire")
    assert (keys.folder / "seal-artifacts").exists()
    assert Artifact.objects.get(digest=DIGEST).wrapped_key.startswith("3.")


def _made_long_ago(path: Path) -> None:
    then = path.stat().st_mtime - service.RETIRE_AFTER_SECONDS - 1
    os.utime(path, (then, then))


def test_only_whoever_is_on_the_machine_can_do_this(alice: User) -> None:
    for use_case in (service.encrypt_plain, service.rewrap):
        with pytest.raises(NotAllowed):
            use_case(actor=actor(alice))
