"""Artifacts: by digest, once, encrypted, and never handed on when they are not what they were."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage

from core.errors import Broken
from core.keys import KeyStore
from deployments.adapters import artifact_store
from deployments.models import Artifact
from tests.app.deployments.conftest import DIGEST, ONNX, stored_files
from wire import envelope

pytestmark = pytest.mark.django_db


@pytest.fixture
def artifact(onnx_file: Path) -> Artifact:
    stored = artifact_store.put(onnx_file, DIGEST)
    return Artifact.objects.create(digest=DIGEST, size=stored.size, **stored.columns())


@pytest.fixture
def plain_artifact(artifacts: Path) -> Artifact:
    """As a Slipway of before stored it."""
    name = FileSystemStorage(artifacts).save("sha256/ab/plain", ContentFile(ONNX))
    return Artifact.objects.create(digest=DIGEST, size=len(ONNX), storage_name=name)


@pytest.fixture
def lost_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "KEYS", KeyStore(tmp_path / "other-secrets"))


def file_digest(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def decrypted(path: Path, artifact: Artifact) -> bytes:
    with path.open("rb") as file:
        return envelope.decrypt_bytes(file, artifact_store.key_of(artifact), digest=artifact.digest)


def test_what_is_stored_is_encrypted_and_the_row_says_what_it_is(
    artifact: Artifact, artifacts: Path
) -> None:
    [path] = stored_files(artifacts)
    assert ONNX[:20] not in path.read_bytes()
    assert (artifact.digest, artifact.size) == (DIGEST, len(ONNX))
    assert artifact.stored_digest == file_digest(path)
    assert decrypted(path, artifact) == ONNX


def test_no_two_artifacts_share_a_key_and_no_key_is_stored_as_it_is(
    artifact: Artifact, tmp_path: Path
) -> None:
    other_file = tmp_path / "other.onnx"
    other_file.write_bytes(b"other")
    digest = file_digest(other_file)
    stored = artifact_store.put(other_file, digest)
    other = Artifact.objects.create(digest=digest, size=stored.size, **stored.columns())
    keys = {artifact_store.key_of(each) for each in (artifact, other)}
    assert len(keys) == 2
    assert not any(key.hex() in artifact.wrapped_key for key in keys)


def test_an_artifact_reads_as_what_was_stored(artifact: Artifact) -> None:
    with artifact_store.open_verified(artifact.digest) as file:
        assert file.read() == ONNX


def test_a_changed_file_is_never_handed_out(
    artifact: Artifact, artifacts: Path, tmp_path: Path
) -> None:
    [path] = stored_files(artifacts)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with (
        pytest.raises(Broken) as problem,
        artifact_store.open_verified(artifact.digest) as file,
    ):
        file.read()
    assert problem.value.stable_code == "artifact:corrupted"
    with pytest.raises(Broken), artifact_store.ciphertext(artifact.digest) as file:
        file.read()
    assert not artifact_store.is_sound(artifact)


def test_a_missing_file_is_said_to_be_missing(artifact: Artifact, artifacts: Path) -> None:
    stored_files(artifacts)[0].unlink()
    with pytest.raises(Broken) as problem, artifact_store.open_verified(artifact.digest):
        pass
    assert problem.value.stable_code == "artifact:missing"


def test_a_digest_that_was_never_stored_is_missing(db: None) -> None:
    with pytest.raises(Broken), artifact_store.open_verified("sha256:" + "0" * 64):
        pass


def test_without_the_control_planes_key_nothing_opens(artifact: Artifact, lost_keys: None) -> None:
    with pytest.raises(Broken) as problem, artifact_store.open_verified(artifact.digest):
        pass
    assert problem.value.stable_code == "keys:not-opened"
    assert not artifact_store.is_sound(artifact)


def test_images_get_the_encrypted_artifact(artifact: Artifact, artifacts: Path) -> None:
    with artifact_store.ciphertext(artifact.digest) as file:
        assert file.read() == stored_files(artifacts)[0].read_bytes()


def test_it_puts_a_read_only_encrypted_copy_where_a_replica_wants_it(
    artifact: Artifact, tmp_path: Path
) -> None:
    path = artifact_store.materialize(artifact.digest, tmp_path)
    assert path.name == DIGEST.removeprefix("sha256:") + ".slw"
    assert file_digest(path) == artifact.stored_digest
    assert decrypted(path, artifact) == ONNX
    assert path.stat().st_mode & 0o777 == 0o400
    assert artifact_store.materialize(artifact.digest, tmp_path) == path


def test_a_copy_that_was_changed_is_made_again(artifact: Artifact, tmp_path: Path) -> None:
    path = artifact_store.materialize(artifact.digest, tmp_path)
    path.chmod(0o600)
    path.write_bytes(b"something else")
    assert decrypted(artifact_store.materialize(artifact.digest, tmp_path), artifact) == ONNX


def test_a_corrupted_artifact_leaves_no_copy(
    artifact: Artifact, artifacts: Path, tmp_path: Path
) -> None:
    stored_files(artifacts)[0].write_bytes(b"?")
    folder = tmp_path / "replica"
    folder.mkdir()
    with pytest.raises(Broken):
        artifact_store.materialize(artifact.digest, folder)
    assert list(folder.iterdir()) == []


def test_bytes_that_are_not_those_of_the_digest_are_not_stored(
    onnx_file: Path, artifacts: Path
) -> None:
    with pytest.raises(Broken):
        artifact_store.put(onnx_file, "sha256:" + "0" * 64)
    assert stored_files(artifacts) == []


def test_nothing_plain_is_left_where_files_live_for_a_moment(artifact: Artifact) -> None:
    with (
        artifact_store.open_verified(artifact.digest),
        artifact_store.ciphertext(artifact.digest),
    ):
        assert list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()) == []


# --- what was stored plain --------------------------------------------------------------------


def test_an_artifact_that_was_stored_plain_is_encrypted_when_it_is_used(
    plain_artifact: Artifact, artifacts: Path, tmp_path: Path
) -> None:
    path = artifact_store.materialize(DIGEST, tmp_path)
    artifact = Artifact.objects.get()
    assert decrypted(path, artifact) == ONNX
    [stored] = stored_files(artifacts)
    assert ONNX[:20] not in stored.read_bytes()
    assert file_digest(stored) == artifact.stored_digest
    assert not artifact_store.is_sound(plain_artifact)
    assert artifact_store.is_sound(artifact)


def test_a_plain_artifact_that_was_changed_is_not_encrypted(
    plain_artifact: Artifact, artifacts: Path
) -> None:
    [stored] = stored_files(artifacts)
    stored.write_bytes(b"changed")
    with pytest.raises(Broken) as problem:
        artifact_store.encrypted(DIGEST)
    assert problem.value.stable_code == "artifact:corrupted"
    assert stored_files(artifacts) == [stored]
    assert Artifact.objects.get().wrapped_key == ""


def test_of_two_that_encrypt_it_at_once_one_wins_and_both_can_read(
    plain_artifact: Artifact, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = artifact_store._put
    overtaken: list[Artifact] = []

    def overtaking(*arguments: object) -> artifact_store.Stored:
        made = put(*arguments)  # type: ignore[arg-type]
        if not overtaken:
            overtaken.append(plain_artifact)
            overtaken.append(artifact_store.encrypted(DIGEST))
        return made

    monkeypatch.setattr(artifact_store, "_put", overtaking)
    loser = artifact_store.encrypted(DIGEST)
    assert loser.storage_name == overtaken[1].storage_name
    assert len(stored_files(artifacts)) == 1
    assert artifact_store.is_sound(loser)


def test_who_read_the_row_before_it_was_encrypted_still_finds_the_file(
    plain_artifact: Artifact,
) -> None:
    artifact_store.encrypted(DIGEST)
    with artifact_store._stored(plain_artifact) as file:
        assert envelope.is_envelope(file.read(4))
