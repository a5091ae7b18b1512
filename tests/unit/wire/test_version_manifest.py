from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.unit.wire.test_manifest import MANIFEST as RELEASE
from wire import manifest as release_manifests
from wire import version_manifest
from wire.errors import ManifestRefused, Unreadable
from wire.version_manifest import VersionManifest

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VERSION = VersionManifest(
    model=RELEASE.endpoint,
    version=RELEASE.version,
    artifact_digest=RELEASE.artifact_digest,
    stored_digest="sha256:" + "c" * 64,
    signature=RELEASE.signature,
)


def refusal(blob: bytes) -> str:
    with pytest.raises(ManifestRefused) as refused:
        version_manifest.verify(blob, KEY.public_key())
    assert refused.value.message
    return refused.value.code


def test_a_signed_version_manifest_is_read_back_as_it_was() -> None:
    assert version_manifest.verify(version_manifest.sign(VERSION, KEY), KEY.public_key()) == VERSION


def test_the_same_version_gives_the_same_bytes_every_time() -> None:
    assert version_manifest.sign(VERSION, KEY) == version_manifest.sign(VERSION, KEY)
    assert version_manifest.sign(VERSION, KEY) != version_manifest.sign(
        VERSION, Ed25519PrivateKey.generate()
    )


def test_one_of_another_key_is_refused() -> None:
    blob = version_manifest.sign(VERSION, Ed25519PrivateKey.generate())
    assert refusal(blob) == "manifest:bad-signature"


def test_a_signature_of_a_release_manifest_is_not_taken_for_one() -> None:
    envelope = json.loads(release_manifests.sign(RELEASE, KEY))
    envelope["format"] = version_manifest.FORMAT
    assert refusal(json.dumps(envelope).encode()) == "manifest:bad-signature"


@pytest.mark.parametrize("place", [0, 20, -20, -1])
def test_one_that_was_altered_anywhere_is_refused(place: int) -> None:
    blob = bytearray(version_manifest.sign(VERSION, KEY))
    blob[place] ^= 1
    assert refusal(bytes(blob)).startswith("manifest:")


def test_nothing_and_too_much_are_refused() -> None:
    assert refusal(b" \n") == "manifest:empty"
    assert refusal(b" " * 10 + b"{" * version_manifest.MAX_BYTES) == "manifest:too-large"


@pytest.mark.parametrize("name", [item.name for item in fields(VersionManifest)])
def test_every_field_must_be_there(name: str) -> None:
    plain = VERSION.to_json()
    del plain[name]
    with pytest.raises(Unreadable):
        VersionManifest.from_json(plain)


def test_what_it_does_not_know_is_refused() -> None:
    with pytest.raises(Unreadable):
        VersionManifest.from_json(VERSION.to_json() | {"profile": None})


@pytest.mark.parametrize("name", ["artifact_digest", "stored_digest"])
def test_a_digest_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(Unreadable):
        VersionManifest.from_json(VERSION.to_json() | {name: "md5:1"})


def test_the_release_of_this_very_version_agrees() -> None:
    VERSION.require_agreement(RELEASE)


@pytest.mark.parametrize(
    "release",
    [
        replace(RELEASE, version=3),
        replace(RELEASE, endpoint="lung"),
        replace(RELEASE, artifact_digest="sha256:" + "d" * 64),
        replace(RELEASE, allow_nonfinite=True),
    ],
)
def test_a_release_of_something_else_does_not_agree(
    release: release_manifests.ReleaseManifest,
) -> None:
    with pytest.raises(ManifestRefused) as refused:
        VERSION.require_agreement(release)
    assert refused.value.code == "manifest:other-version"
