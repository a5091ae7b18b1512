"""Who this gateway is on the inner connections: a key of its own, and what web has certified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from controlplane.gateway_launcher.files import read_json, write_private

_FORMAT = 1


class BadIdentity(Exception):
    """What came is no certificate for our key."""


@dataclass(frozen=True, slots=True)
class Request:
    """A new private key and the request to certify it, PEM."""

    key: str = field(repr=False)
    csr: str


@dataclass(frozen=True, slots=True)
class Identity:
    """PEM texts. `jwks` verifies clients' keys of `environment`. Times are Unix seconds."""

    key: str = field(repr=False)
    certificate: str
    authority: str
    environment: str
    jwks: Mapping[str, Any]
    obtained_at: float
    expires_at: float

    @property
    def due_at(self) -> float:
        """When to renew it: with two thirds of its time left for a web that is down."""
        return self.obtained_at + (self.expires_at - self.obtained_at) / 3


def new_request() -> Request:
    key = ec.generate_private_key(ec.SECP256R1())
    # Who asks is proven by the token; nothing else in the request counts.
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    signed = csr.sign(key, hashes.SHA256())
    return Request(
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        csr=signed.public_bytes(Encoding.PEM).decode(),
    )


def from_answer(key: str, answer: Any, now: float) -> Identity:
    """Raises BadIdentity: Envoy would keep the old files, but a start from ours would fail."""
    try:
        identity = Identity(
            key=key,
            certificate=str(answer["certificate"]),
            authority=str(answer["authority"]),
            environment=str(answer["environment"]),
            jwks=dict(answer["jwks"]),
            obtained_at=now,
            expires_at=float(answer["expires_at"]),
        )
        x509.load_pem_x509_certificate(identity.authority.encode())
    except (LookupError, TypeError, ValueError) as problem:
        raise BadIdentity("the answer is not a certificate") from problem
    if not belong_together(identity.certificate, key):
        raise BadIdentity("the certificate is for another key")
    return identity


def belong_together(certificate: str, key: str) -> bool:
    """Whether the (first) certificate is for this private key; both PEM. Never raises."""
    try:
        public = x509.load_pem_x509_certificate(certificate.encode()).public_key()
        return load_pem_private_key(key.encode(), None).public_key() == public
    except (ValueError, TypeError):
        return False


def load(path: Path) -> Identity | None:
    """None where nothing usable is: then a new one is asked for."""
    content = read_json(path)
    if content is None or content.pop("format", None) != _FORMAT:
        return None
    try:
        identity = Identity(**content)
    except TypeError:
        return None
    return identity if belong_together(identity.certificate, identity.key) else None


def store(path: Path, identity: Identity) -> None:
    write_private(path, {"format": _FORMAT, **asdict(identity)})
