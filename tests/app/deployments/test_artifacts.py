"""Artifacts: by digest, once, and never handed on when they are not what they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import Broken
from deployments.adapters import artifact_store
from deployments.models import Artifact
from tests.app.deployments.conftest import DIGEST, ONNX, stored_files

pytestmark = pytest.mark.django_db


@pytest.fixture
def artifact(onnx_file: Path) -> Artifact:
    stored = artifact_store.put(onnx_file, DIGEST)
    return Artifact.objects.create(digest=DIGEST, size=stored.size, storage_name=stored.name)


def test_an_artifact_reads_as_what_was_stored(artifact: Artifact) -> None:
    with artifact_store.open_verified(artifact.digest) as file:
        assert file.read() == ONNX


def test_a_changed_file_is_never_handed_out(artifact: Artifact, artifacts: Path) -> None:
    [path] = stored_files(artifacts)
    path.chmod(0o600)
    path.write_bytes(ONNX[:-1] + b"?")
    with (
        pytest.raises(Broken) as problem,
        artifact_store.open_verified(artifact.digest) as file,
    ):
        file.read()
    assert problem.value.stable_code == "artifact:corrupted"


def test_a_missing_file_is_said_to_be_missing(artifact: Artifact, artifacts: Path) -> None:
    stored_files(artifacts)[0].unlink()
    with pytest.raises(Broken) as problem, artifact_store.open_verified(artifact.digest):
        pass
    assert problem.value.stable_code == "artifact:missing"


def test_a_digest_that_was_never_stored_is_missing(db: None) -> None:
    with pytest.raises(Broken), artifact_store.open_verified("sha256:" + "0" * 64):
        pass


def test_it_puts_a_read_only_copy_where_a_replica_wants_it(
    artifact: Artifact, tmp_path: Path
) -> None:
    path = artifact_store.materialize(artifact.digest, tmp_path)
    assert path.read_bytes() == ONNX
    assert path.stat().st_mode & 0o777 == 0o400
    assert artifact_store.materialize(artifact.digest, tmp_path) == path


def test_a_copy_that_was_changed_is_made_again(artifact: Artifact, tmp_path: Path) -> None:
    path = artifact_store.materialize(artifact.digest, tmp_path)
    path.chmod(0o600)
    path.write_bytes(b"something else")
    assert artifact_store.materialize(artifact.digest, tmp_path).read_bytes() == ONNX


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
