"""The internal authority: who may speak on the inner connections, as short-lived certificates.

One ECDSA P-256 authority for one Slipway, made when it is first needed. Each certificate carries
exactly one URI, a name of `wire.identity`, and says whether it may be shown by servers, by clients,
or by both. Nothing is revoked: certificates live for days and are renewed while they are in use.

    secrets/ca.key   the authority's private key, PEM, 0600
    secrets/ca.pem   its certificate, which everybody may know
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core import clock
from core.errors import Broken, Invalid
from wire import certificates, identity

AUTHORITY_DAYS = 3650
# Certificates begin to be good a while ago: the clocks of hosts and gateways are not all alike.
CLOCK_SKEW = timedelta(minutes=10)
_OWN_HOURS = 24.0
_LONGEST_REQUEST = 20_000
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str = field(repr=False)


class WrongPeer(ssl.SSLCertVerificationError):
    """The authority knows who answered, and it is not who was meant."""

    verify_code = 0  # OpenSSL itself found nothing wrong
    verify_message = ""

    def __init__(self, sentence: str) -> None:
        super().__init__(1, sentence)


class Authority:
    """Keys and certificates of one Slipway, in `folder`. Any number of processes may share it."""

    def __init__(self, folder: Path, *, now: Callable[[], datetime] = clock.now) -> None:
        self._folder = folder
        self._now = now
        self._lock = threading.Lock()
        self._loaded: tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None = None
        self._own: Issued | None = None
        self._shared: dict[bool, ssl.SSLContext] = {}

    @property
    def pem(self) -> str:
        """The authority's certificate: what to trust."""
        return self._load()[1].public_bytes(Encoding.PEM).decode()

    def issue(self, name: str, *, hours: float, names: Sequence[str] = ()) -> Issued:
        """A new key and its certificate for `name` (of `wire.identity`). `names` are the host names
        and addresses under which it is also reached."""
        key = ec.generate_private_key(ec.SECP256R1())
        return Issued(self.certify(key.public_key(), name, hours=hours, names=names), _pem(key))

    def sign(self, csr: str, name: str, *, hours: float, names: Sequence[str] = ()) -> str:
        """A certificate for the key in a certificate request. Nothing else in the request counts.

        Raises:
            Invalid: `certificate:bad-request`.
        """
        return self.certify(_requested_key(csr), name, hours=hours, names=names)

    def renew(self, presented: bytes, name: str, *, hours: float) -> str:
        """A certificate for the key of a certificate (DER) that a verified peer has shown."""
        key = x509.load_der_x509_certificate(presented).public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise Invalid("Only ECDSA keys are certified.", code="certificate:bad-request")
        return self.certify(key, name, hours=hours)

    def certify(
        self, key: ec.EllipticCurvePublicKey, name: str, *, hours: float, names: Sequence[str] = ()
    ) -> str:
        """The certificate of this public key, PEM.

        Raises:
            ValueError: `name` is none of ours.
        """
        if not name.startswith("spiffe://slipway/"):
            raise ValueError(f"{name!r} is no identity of Slipway's")
        own_key, own = self._load()
        now = self._now()
        builder = (
            _builder(key, now - CLOCK_SKEW, now + timedelta(hours=hours))
            .subject_name(_subject(name))
            .issuer_name(own.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_purposes(name)), critical=True)
            .add_extension(x509.SubjectAlternativeName(_names(name, names)), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(own_key.public_key()),
                critical=False,
            )
        )
        return builder.sign(own_key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    def client_context(self, *, even_expired: bool = False) -> ssl.SSLContext:
        """For connections of the control plane to servers of ours; always the same object, whose
        certificate is renewed here. Ask for it before each connection, and check with
        `require_peer` who answered: the context only knows that the authority knows them.

        `even_expired` is for renewing the certificate of who could not be reached in time."""
        with self._lock:
            if even_expired not in self._shared:
                context = self._new_context(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
                if even_expired:
                    context.verify_flags |= _NO_CHECK_TIME
                self._shared[even_expired] = context
            self._renewed()
            return self._shared[even_expired]

    def context_for(self, peer: str) -> ssl.SSLContext:
        """One whose handshake succeeds with the bearer of this identity only. For clients that do
        not show the certificate of who answered before they send."""
        with self._lock:
            context = _PeerContext(ssl.PROTOCOL_TLS_CLIENT)
            context.expected = peer
            return self._new_context(context)

    def _new_context(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        # Replicas have no names in DNS; their identity is the URI.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_verify_locations(cadata=self.pem)
        own = self._renewed()
        certificates.load(context, own.certificate, own.key)
        return context

    def _renewed(self) -> Issued:
        """The control plane's own certificate; a new one is also given to the shared contexts."""
        if self._own is None or is_due(self._own.certificate, self._now()):
            self._own = self.issue(identity.CONTROL_PLANE, hours=_OWN_HOURS)
            for context in self._shared.values():
                certificates.load(context, self._own.certificate, self._own.key)
        return self._own

    def _load(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        if self._loaded is None:
            key = _read_key(self._kept("ca.key", _new_key, 0o600))
            raw = self._kept("ca.pem", lambda: _self_signed(key, self._now()), 0o644)
            certificate = _read_certificate(raw)
            if certificate.public_key() != key.public_key():
                raise Broken("ca.pem is not the certificate of ca.key.", code="keys:mismatch")
            self._loaded = key, certificate
        return self._loaded

    def _kept(self, name: str, make: Callable[[], bytes], mode: int) -> bytes:
        """What is in the file, the same for every process that asks; made if there is none."""
        path = self._folder / name
        if not path.exists():
            self._place(path, make(), mode)
        if path.stat().st_mode & 0o077 & ~mode:
            raise Broken(f"The key file {name} can be read by others; make it 0600.")
        return path.read_bytes()

    def _place(self, path: Path, content: bytes, mode: int) -> None:
        """Link a finished file into place: of two processes at once, one wins and both agree."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / f".{path.name}.{secrets.token_hex(8)}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()


def require_peer(certificate: dict[str, Any] | None, expected: str) -> None:
    """Raises WrongPeer unless the peer's certificate, as `getpeercert()` tells it, names exactly
    this identity."""
    found = certificates.peer_identity(certificate)
    if found != expected:
        raise WrongPeer(f"{found or 'somebody without a name'} answered, not {expected}")


def due_at(certificate: str | bytes) -> datetime:
    """When a third of this certificate's time (PEM or DER) has passed: then it is renewed."""
    begin, end = _validity(certificate)
    return begin + (end - begin) / 3


def is_due(certificate: str | bytes, now: datetime) -> bool:
    return now >= due_at(certificate)


def expires_at(certificate: str | bytes) -> float:
    """When this certificate (PEM or DER) ends, in seconds since the epoch."""
    return _validity(certificate)[1].timestamp()


class _CheckedSocket(ssl.SSLSocket):
    """Blocking clients: nothing is sent to somebody else."""

    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        require_peer(self.getpeercert(), _expected(self.context))


class _CheckedObject(ssl.SSLObject):
    """The same for event loops."""

    def do_handshake(self) -> None:
        super().do_handshake()
        require_peer(self.getpeercert(), _expected(self.context))


class _PeerContext(ssl.SSLContext):
    sslsocket_class = _CheckedSocket
    sslobject_class = _CheckedObject
    expected: str = ""


def _expected(context: ssl.SSLContext) -> str:
    return cast(_PeerContext, context).expected


def _read_key(raw: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(raw, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as problem:
        raise Broken("The key file ca.key does not hold a private key.") from problem
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Broken("The key file ca.key does not hold an ECDSA key.")
    return key


def _read_certificate(raw: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(raw)
    except ValueError as problem:
        raise Broken("The file ca.pem does not hold a certificate.") from problem


def _new_key() -> bytes:
    return _pem(ec.generate_private_key(ec.SECP256R1())).encode()


def _self_signed(key: ec.EllipticCurvePrivateKey, now: datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Slipway internal authority")])
    public = key.public_key()
    made = (
        _builder(public, now - timedelta(days=1), now + timedelta(days=AUTHORITY_DAYS))
        .subject_name(name)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM)


def _validity(certificate: str | bytes) -> tuple[datetime, datetime]:
    if isinstance(certificate, str):
        read = x509.load_pem_x509_certificate(certificate.encode())
    else:
        read = x509.load_der_x509_certificate(certificate)
    # The margin for clocks is no part of the life that it was given.
    return read.not_valid_before_utc + CLOCK_SKEW, read.not_valid_after_utc


def _builder(
    key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin.astimezone(UTC))
        .not_valid_after(end.astimezone(UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(name: str) -> x509.Name:
    """The last part of the identity, for people; nothing reads it."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name.rpartition("/")[2][:64])])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _purposes(name: str) -> list[x509.ObjectIdentifier]:
    purposes = []
    if identity.may_listen(name):
        purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
    if identity.may_connect(name):
        purposes.append(ExtendedKeyUsageOID.CLIENT_AUTH)
    return purposes


def _names(name: str, names: Sequence[str]) -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(name), *(_host_name(each) for each in names)]


def _host_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _requested_key(csr: str) -> ec.EllipticCurvePublicKey:
    refused = "The certificate request is no PEM of one for an ECDSA P-256 key."
    if len(csr) > _LONGEST_REQUEST:
        raise Invalid(refused, code="certificate:bad-request")
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        key = request.public_key()
        signed = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as problem:
        raise Invalid(refused, code="certificate:bad-request") from problem
    if not signed or not isinstance(key, ec.EllipticCurvePublicKey) or key.key_size != 256:
        raise Invalid(refused, code="certificate:bad-request")
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
