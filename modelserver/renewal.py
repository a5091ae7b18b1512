"""Whether a certificate may take the place of the one that a replica has."""

from __future__ import annotations

import time

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from wire.manifest import ReplicaTls


def check(pem: bytes, tls: ReplicaTls, name: str) -> float:
    """Until when it is good, in Unix seconds.

    Raises ValueError, whose text goes on after "The certificate", unless it is the authority's, for
    the key in `tls`, for this one name, and good now.
    """
    certificate = _first(pem)
    if not any(_issued(certificate, each) for each in _all(tls.authority.encode())):
        raise ValueError("is not of the authority that the manifest names")
    key = load_pem_private_key(tls.key.encode(), None).public_key()
    if _public(certificate) != key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        raise ValueError("is for another key than this server's")
    if _uris(certificate) != [name]:
        raise ValueError("is for another name than this server's")
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin.timestamp() <= time.time() < end.timestamp():
        raise ValueError("is not good now")
    return end.timestamp()


def _first(pem: bytes) -> x509.Certificate:
    """The server's own, which a chain begins with."""
    return _all(pem)[0]


def _all(pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as problem:
        raise ValueError("is not PEM") from problem


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _public(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)
