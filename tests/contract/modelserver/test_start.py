"""What a replica needs to start, and what keeps it from starting."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.contract.modelserver import server
from tests.contract.modelserver.server import (
    KEY,
    MODELS,
    digest,
    eventually,
    infer_request,
    manifest_for,
    rows,
    running,
)
from wire import envelope, version_manifest
from wire import manifest as manifests
from wire.manifest import ReplicaTls
from wire.version_manifest import VersionManifest

FIRST = MODELS / "tumour-1.onnx"
INFER = "/v2/models/tumour/infer"
SECRET = bytes(range(100, 132))


def encrypted(folder: Path, key: bytes = SECRET) -> Path:
    into, path = io.BytesIO(), folder / "artifact.slw"
    envelope.encrypt(io.BytesIO(FIRST.read_bytes()), into, key, digest=digest(FIRST))
    path.write_bytes(into.getvalue())
    return path


def with_key(key: bytes = SECRET) -> manifests.ReleaseManifest:
    return replace(manifest_for(FIRST), artifact_key=base64.b64encode(key).decode())


def held(folder: Path, signer: Ed25519PrivateKey = KEY, **changes: Any) -> list[str]:
    """The option that names the version manifest of the image."""
    manifest = VersionManifest(
        model="tumour",
        version=1,
        artifact_digest=digest(FIRST),
        stored_digest="sha256:" + "1" * 64,
        signature=server.TUMOUR,
    )
    path = folder / "version.json"
    path.write_bytes(version_manifest.sign(replace(manifest, **changes), signer))
    return ["--version-manifest", str(path)]


def refused(
    folder: Path, manifest: manifests.ReleaseManifest, artifact: Path, *more: str
) -> tuple[int, str]:
    """The exit code, and the code on the one line of the log that has one."""
    blob = manifests.sign(manifest, KEY)
    process, _, log = server.spawn(folder, blob, artifact, more=more)
    code = process.wait(timeout=20)
    (line,) = [line for line in log.read_text().splitlines() if '"code"' in line]
    said = json.loads(line)
    assert said["event"] == "manifest-refused"
    assert said["message"].endswith(".")
    return code, said["code"]


def test_an_encrypted_artifact_is_served_with_the_key_of_the_manifest(tmp_path: Path) -> None:
    path = encrypted(tmp_path)
    key = base64.b64encode(SECRET).decode()
    options = held(tmp_path)
    with (
        running(tmp_path, FIRST, more=["--artifact", str(path), *options], artifact_key=key) as it,
        it.client() as client,
    ):
        assert client.post(INFER, json=infer_request(rows(2))).status_code == 200
    # Nothing was written but what a process host is told, and what the test wrote itself.
    names = {each.name for each in tmp_path.iterdir()}
    assert names == {"announce.json", "artifact.slw", "replica.log", "version.json"}


def test_the_wrong_key_a_cut_and_another_artifact_are_refused(tmp_path: Path) -> None:
    path = encrypted(tmp_path)
    assert refused(tmp_path, with_key(bytes(32)), path) == (3, "envelope:altered")
    assert refused(tmp_path, with_key(bytes(5)), path) == (3, "envelope:bad-key")
    other = replace(with_key(), artifact_digest="sha256:" + "9" * 64)
    assert refused(tmp_path, other, path) == (3, "envelope:altered")
    path.write_bytes(path.read_bytes()[:-1])
    assert refused(tmp_path, with_key(), path) == (3, "envelope:altered")
    assert refused(tmp_path, with_key(), FIRST) == (3, "envelope:not-one")
    assert refused(tmp_path, with_key(), tmp_path / "nothing") == (3, "artifact:unreadable")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": 2}, "manifest:other-version"),
        ({"model": "other"}, "manifest:other-version"),
        ({"artifact_digest": "sha256:" + "9" * 64}, "manifest:other-version"),
        ({"allow_nonfinite": True}, "manifest:other-version"),
        ({"signer": Ed25519PrivateKey.generate()}, "manifest:bad-signature"),
    ],
)
def test_an_image_of_something_else_is_refused(
    tmp_path: Path, changes: dict[str, Any], code: str
) -> None:
    options = held(tmp_path, **changes)
    assert refused(tmp_path, manifest_for(FIRST), FIRST, *options) == (3, code)


def test_an_image_that_holds_no_version_manifest_is_refused(tmp_path: Path) -> None:
    options = ["--version-manifest", str(tmp_path / "nothing")]
    assert refused(tmp_path, manifest_for(FIRST), FIRST, *options) == (3, "manifest:unreadable")


def test_a_certificate_that_is_none_is_refused(tmp_path: Path) -> None:
    tls = ReplicaTls("no certificate", "no key", "no authority")
    manifest = replace(manifest_for(FIRST), tls=tls)
    assert refused(tmp_path, manifest, FIRST) == (3, "manifest:bad-certificate")


def test_a_grpc_port_that_is_taken_keeps_it_from_starting(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        taken = "{}:{}".format(*first.address)
        blob = manifests.sign(manifest_for(FIRST), KEY)
        second = tmp_path / "second"
        second.mkdir()
        process, announce, _ = server.spawn(second, blob, FIRST, more=["--grpc-bind", taken])
        assert process.wait(timeout=20) == 2
        assert not announce.exists()


def test_it_starts_without_saying_where_it_listens(tmp_path: Path) -> None:
    blob = manifests.sign(manifest_for(FIRST), KEY)
    process, announce, log = server.spawn(tmp_path, blob, FIRST, announce=False)
    try:
        eventually(lambda: '"ready"' in log.read_text())
        assert not announce.exists()
    finally:
        process.kill()
        process.wait(timeout=10)
