"""The release manifest: what a replica is told when it starts, signed by the control plane."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import asdict, dataclass, field, fields

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from wire.errors import ManifestRefused, Unreadable
from wire.fields import Fields
from wire.serving import ServingConfig
from wire.signature import Signature
from wire.signed import Kind
from wire.signed import canonical as canonical

FORMAT = 2
MAX_BYTES = 4 * 1024 * 1024
CLOCK_SKEW = 60.0  # seconds that a replica's clock may be behind the control plane's
_KIND = Kind("release manifest", FORMAT, MAX_BYTES)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ReplicaTls:
    """Of a replica's server side, all PEM: its certificate, its key, and the authority whose
    certificates it accepts from those who connect (`wire.identity`)."""

    certificate: str
    key: str = field(repr=False)
    authority: str

    def to_json(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: object) -> ReplicaTls | None:
        """None means plain connections, which the control plane allows on loopback only."""
        if raw is None:
            return None
        given = Fields(raw, kind="manifest", where="TLS of the replica")
        names = ("certificate", "key", "authority")
        tls = cls(**{name: given.text(name, longest=20_000) for name in names})
        given.close()
        return tls


@dataclass(frozen=True, slots=True)
class ReleaseManifest:
    """Everything one replica needs to know. Times are Unix seconds; ids are public ids."""

    release: str
    release_digest: str
    endpoint: str
    environment: str
    version: int
    artifact_digest: str
    signature: Signature
    replica: str
    telemetry_token: str = field(repr=False)
    issued_at: int
    expires_at: int
    config: ServingConfig = field(default_factory=ServingConfig)
    # Base64 of the 32 bytes that decrypt the artifact (`wire.envelope`).
    artifact_key: str = field(default="", repr=False)
    # Whether NaN and infinity may go in and come out.
    allow_nonfinite: bool = False
    tls: ReplicaTls | None = None

    def to_json(self) -> dict[str, object]:
        plain: dict[str, object] = {item.name: getattr(self, item.name) for item in fields(self)}
        return plain | {
            "format": FORMAT,
            "signature": self.signature.to_json(),
            "config": self.config.to_json(),
            "tls": self.tls.to_json() if self.tls else None,
        }

    @classmethod
    def from_json(cls, raw: object) -> ReleaseManifest:
        """Strict: unknown, missing and ill-typed fields raise wire.errors.Unreadable."""
        given = Fields(raw, kind="manifest", where="release manifest")
        if given.take("format") != FORMAT:
            raise Unreadable(
                "manifest:unsupported-format", f"Only manifests of format {FORMAT} are read."
            )
        manifest = cls(
            release=given.text("release", longest=100),
            release_digest=_digest(given, "release_digest"),
            endpoint=given.text("endpoint", longest=200),
            environment=given.text("environment", longest=200),
            version=given.whole("version", low=1),
            artifact_digest=_digest(given, "artifact_digest"),
            signature=Signature.from_json(given.take("signature")),
            config=ServingConfig.from_json(given.take("config")),
            replica=given.text("replica", longest=100),
            telemetry_token=given.text("telemetry_token", longest=200),
            issued_at=given.whole("issued_at"),
            expires_at=given.whole("expires_at"),
            artifact_key=given.text("artifact_key", longest=100, empty=True),
            allow_nonfinite=given.flag("allow_nonfinite"),
            tls=ReplicaTls.from_json(given.take("tls")),
        )
        given.close()
        return manifest


def _digest(given: Fields, name: str) -> str:
    digest = given.text(name, longest=71)
    if not _DIGEST.fullmatch(digest):
        raise given.refusal(f"has a `{name}` that is not `sha256:` and 64 hexadecimal digits")
    return digest


def sign(manifest: ReleaseManifest, private_key: Ed25519PrivateKey) -> bytes:
    """The envelope to hand to the replica's standard input."""
    return _KIND.seal(manifest.to_json(), private_key)


def verify(blob: bytes, public_key: Ed25519PublicKey, now: float) -> ReleaseManifest:
    """The manifest inside a signed envelope, or ManifestRefused with one of these codes:

    manifest:empty, manifest:too-large, manifest:malformed, manifest:bad-signature,
    manifest:unsupported-format, manifest:invalid, signature:invalid, manifest:not-yet-valid,
    manifest:expired.
    """
    try:
        manifest = ReleaseManifest.from_json(_KIND.open(blob, public_key))
    except Unreadable as problem:
        raise ManifestRefused(problem.code, problem.message) from problem
    if manifest.issued_at > now + CLOCK_SKEW:
        raise ManifestRefused(
            "manifest:not-yet-valid", "The release manifest was issued in the future."
        )
    if manifest.expires_at <= now:
        raise ManifestRefused("manifest:expired", "The release manifest has expired.")
    return manifest


def trust_text(public_key: Ed25519PublicKey) -> str:
    """The public key as the command line argument `--trust` carries it."""
    return base64.b64encode(public_key.public_bytes_raw()).decode()


def trusted_key(text: str) -> Ed25519PublicKey:
    """The reverse of `trust_text`; raises ManifestRefused with `manifest:untrusted-key`."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as problem:
        raise ManifestRefused(
            "manifest:untrusted-key", "The trusted key is not base64 of 32 bytes."
        ) from problem
