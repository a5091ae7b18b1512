"""The version manifest: what lies beside the encrypted artifact in an image, and what it is.

Made when the image is built and signed by the control plane, it holds nothing that is secret or of
one replica; those come with the release manifest (`wire.manifest`). A replica reads both, and
starts only if they agree.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from wire.errors import ManifestRefused, Unreadable
from wire.fields import Fields
from wire.manifest import ReleaseManifest
from wire.signature import Signature
from wire.signed import Kind

FORMAT = 1
MAX_BYTES = 4 * 1024 * 1024
_KIND = Kind("version manifest", FORMAT, MAX_BYTES)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class VersionManifest:
    """`artifact_digest` is of the plain bytes, `stored_digest` of the encrypted file beside this
    one (`wire.envelope`)."""

    model: str
    version: int
    artifact_digest: str
    stored_digest: str
    signature: Signature
    allow_nonfinite: bool = False

    def to_json(self) -> dict[str, object]:
        return asdict(self) | {"format": FORMAT, "signature": self.signature.to_json()}

    @classmethod
    def from_json(cls, raw: object) -> VersionManifest:
        """Strict: unknown, missing and ill-typed fields raise wire.errors.Unreadable."""
        given = Fields(raw, kind="manifest", where="version manifest")
        if given.take("format") != FORMAT:
            raise Unreadable(
                "manifest:unsupported-format",
                f"Only version manifests of format {FORMAT} are read.",
            )
        manifest = cls(
            model=given.text("model", longest=200),
            version=given.whole("version", low=1),
            artifact_digest=_digest(given, "artifact_digest"),
            stored_digest=_digest(given, "stored_digest"),
            signature=Signature.from_json(given.take("signature")),
            allow_nonfinite=given.flag("allow_nonfinite"),
        )
        given.close()
        return manifest

    def require_agreement(self, release: ReleaseManifest) -> None:
        """Return when this is the version that the release is of.

        Raises:
            ManifestRefused: `manifest:other-version`.
        """
        mine = (self.model, self.version, self.artifact_digest, self.allow_nonfinite)
        theirs = (release.endpoint, release.version, release.artifact_digest)
        if mine != (*theirs, release.allow_nonfinite) or self.signature != release.signature:
            raise ManifestRefused(
                "manifest:other-version",
                f"The image holds version {self.version} of {self.model}, but the release is of"
                f" version {release.version} of {release.endpoint}, or of another artifact.",
            )


def sign(manifest: VersionManifest, private_key: Ed25519PrivateKey) -> bytes:
    """What lies in the image: the same bytes for the same version and key."""
    return _KIND.seal(manifest.to_json(), private_key)


def verify(blob: bytes, public_key: Ed25519PublicKey) -> VersionManifest:
    """The manifest inside a signed envelope, or ManifestRefused with one of these codes:

    manifest:empty, manifest:too-large, manifest:malformed, manifest:bad-signature,
    manifest:unsupported-format, manifest:invalid, signature:invalid.
    """
    try:
        return VersionManifest.from_json(_KIND.open(blob, public_key))
    except Unreadable as problem:
        raise ManifestRefused(problem.code, problem.message) from problem


def digest(signed: bytes) -> str:
    """Of the whole signed envelope: it changes with the content and with the key that signed."""
    return "sha256:" + hashlib.sha256(signed).hexdigest()


def _digest(given: Fields, name: str) -> str:
    text = given.text(name, longest=71)
    if not _DIGEST.fullmatch(text):
        raise given.refusal(f"has a `{name}` that is not `sha256:` and 64 hexadecimal digits")
    return text
