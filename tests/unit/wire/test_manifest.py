from __future__ import annotations

import base64
import json
from dataclasses import fields, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from wire import manifest as manifests
from wire.errors import ManifestRefused, Unreadable
from wire.manifest import ReleaseManifest
from wire.serving import ServingConfig
from wire.signature import Signature, TensorSpec

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NOW = 1_800_000_000.0
MANIFEST = ReleaseManifest(
    release="rel_01JD0000000000000000000001",
    release_digest="sha256:" + "a" * 64,
    endpoint="tumour",
    environment="staging",
    version=2,
    artifact_digest="sha256:" + "b" * 64,
    signature=Signature(
        (TensorSpec("X", "FP32", (-1, 30)),), (TensorSpec("label", "INT64", (-1,)),)
    ),
    config=ServingConfig(threads=2),
    replica="rep_01JD0000000000000000000001",
    telemetry_token="a-token-of-alices-replica",
    issued_at=int(NOW),
    expires_at=int(NOW) + 300,
)


def refusal(blob: bytes, now: float = NOW) -> str:
    with pytest.raises(ManifestRefused) as refused:
        manifests.verify(blob, KEY.public_key(), now)
    assert refused.value.message
    return refused.value.code


def signed(payload: bytes) -> bytes:
    """Whatever bytes, rightly signed: what only the control plane itself could get wrong."""
    signature = KEY.sign(b"slipway release manifest 2\n" + payload)
    envelope = {
        "format": 2,
        "payload": base64.b64encode(payload).decode(),
        "signature": base64.b64encode(signature).decode(),
    }
    return json.dumps(envelope).encode()


def test_a_signed_manifest_is_read_back_as_it_was() -> None:
    assert manifests.verify(manifests.sign(MANIFEST, KEY), KEY.public_key(), NOW) == MANIFEST


def test_signing_twice_gives_the_same_bytes() -> None:
    assert manifests.sign(MANIFEST, KEY) == manifests.sign(MANIFEST, KEY)


def test_its_fields_are_those_of_the_wire_format() -> None:
    assert set(MANIFEST.to_json()) == {field.name for field in fields(ReleaseManifest)} | {"format"}


def test_the_token_does_not_show_in_its_repr() -> None:
    assert MANIFEST.telemetry_token not in repr(MANIFEST)


def test_a_manifest_of_mallorys_is_refused() -> None:
    assert (
        refusal(manifests.sign(MANIFEST, Ed25519PrivateKey.generate())) == "manifest:bad-signature"
    )


@given(st.data())
def test_a_manifest_with_any_byte_changed_is_refused(data: st.DataObject) -> None:
    blob = bytearray(manifests.sign(MANIFEST, KEY))
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))
    try:
        assert manifests.verify(bytes(blob), KEY.public_key(), NOW) == MANIFEST
    except ManifestRefused:
        return
    # The last base64 digit before the padding has unused bits: the content is still the signed one.
    assert json.loads(bytes(blob))["format"] == 2


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_a_code(blob: bytes) -> None:
    assert refusal(blob).startswith("manifest:")


@pytest.mark.parametrize("blob", [b"", b" \n"])
def test_no_manifest_at_all_has_a_code_of_its_own(blob: bytes) -> None:
    assert refusal(blob) == "manifest:empty"


def test_a_manifest_lives_from_its_issue_to_its_expiry() -> None:
    blob = manifests.sign(MANIFEST, KEY)
    assert refusal(blob, NOW + 300) == "manifest:expired"
    assert refusal(blob, NOW - 61) == "manifest:not-yet-valid"
    assert manifests.verify(blob, KEY.public_key(), NOW - 59) == MANIFEST


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"format": 1}, "manifest:unsupported-format"),
        ({"unknown": 1}, "manifest:invalid"),
        ({"version": 0}, "manifest:invalid"),
        ({"version": True}, "manifest:invalid"),
        ({"endpoint": ""}, "manifest:invalid"),
        ({"artifact_digest": "sha256:short"}, "manifest:invalid"),
        ({"config": {"threads": -1}}, "manifest:invalid"),
        ({"config": {"gpu": 1}}, "manifest:invalid"),
        ({"signature": {"inputs": [], "outputs": []}}, "signature:invalid"),
    ],
)
def test_even_a_signed_manifest_must_have_the_agreed_form(
    change: dict[str, Any], code: str
) -> None:
    assert refusal(signed(json.dumps(MANIFEST.to_json() | change).encode())) == code


@pytest.mark.parametrize("name", sorted(field.name for field in fields(ReleaseManifest)))
def test_every_field_is_needed(name: str) -> None:
    plain = {key: value for key, value in MANIFEST.to_json().items() if key != name}
    assert refusal(signed(json.dumps(plain).encode())) == "manifest:invalid"


def test_an_empty_configuration_is_all_defaults() -> None:
    assert ServingConfig.from_json({}) == ServingConfig()
    assert ServingConfig().max_body_bytes == 10 * 1024 * 1024
    assert ServingConfig.from_json(ServingConfig(threads=3).to_json()) == ServingConfig(threads=3)


def test_the_trusted_key_travels_as_text() -> None:
    key = manifests.trusted_key(manifests.trust_text(KEY.public_key()))
    assert manifests.verify(manifests.sign(MANIFEST, KEY), key, NOW) == MANIFEST


@pytest.mark.parametrize("text", ["", "no base64!", base64.b64encode(b"short").decode()])
def test_what_is_no_key_is_not_trusted(text: str) -> None:
    with pytest.raises(ManifestRefused) as refused:
        manifests.trusted_key(text)
    assert refused.value.code == "manifest:untrusted-key"


def test_two_inputs_of_one_name_are_no_signature() -> None:
    twice = replace(MANIFEST.signature, inputs=MANIFEST.signature.inputs * 2)
    with pytest.raises(Unreadable) as refused:
        Signature.from_json(twice.to_json())
    assert refused.value.code == "signature:invalid"
