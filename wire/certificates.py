"""What both ends of an inner connection do with certificates that are only in memory.

OpenSSL as Python offers it loads certificates from files; a key that came over standard input must
not become one.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


def load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Have `context` show this certificate (PEM) in every handshake from now on; connections that
    are open keep theirs.

    Raises:
        ssl.SSLError: they are no certificate and key, or do not belong together.
    """
    with _in_memory(f"{key.strip()}\n{certificate.strip()}\n".encode()) as path:
        context.load_cert_chain(path)


def peer_identity(certificate: Mapping[str, Any] | None) -> str | None:
    """The one URI in a certificate as `getpeercert()` tells it; None if there is not exactly one.

    The certificate is known to be the authority's: the handshake has verified it.
    """
    names = (certificate or {}).get("subjectAltName", ())
    uris = [value for kind, value in names if kind == "URI"]
    return uris[0] if len(uris) == 1 else None


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A path under which OpenSSL finds `content`, and no disk does (where there is memfd)."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
        try:
            _write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:  # 0600, and gone in a moment
        file.write(content)
        file.flush()
        yield file.name


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
