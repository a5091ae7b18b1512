"""Who this replica is on its ports, and whom it lets in.

Key and certificate come with the manifest and are never on a disk. The key stays for the whole
life of the process; the certificate is renewed over the telemetry, for connections from then on.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from modelserver.errors import Invalid
from wire import certificates
from wire import identity as identities
from wire.errors import ManifestRefused
from wire.identity import Role
from wire.manifest import ReleaseManifest, ReplicaTls

Changed = Callable[[ReplicaTls], None]


class Identity:
    """From the event loop only. Raises ManifestRefused with `manifest:bad-certificate`."""

    def __init__(self, manifest: ReleaseManifest, tls: ReplicaTls) -> None:
        self._environment = manifest.environment
        self._name = identities.replica(manifest.environment, manifest.release, manifest.replica)
        self._tls = tls
        self._changed: list[Changed] = []
        try:
            self._context = _context(tls)
        except (ssl.SSLError, ValueError) as problem:
            message = "The certificate in the manifest cannot be used."
            raise ManifestRefused("manifest:bad-certificate", message) from problem

    def ssl_context(self) -> ssl.SSLContext:
        """For handshakes from now on; always the same object."""
        return self._context

    def current(self) -> ReplicaTls:
        return self._tls

    def on_change(self, changed: Changed) -> None:
        """Is called after each renewal, on the event loop."""
        self._changed.append(changed)

    def role(self, certificate: dict[str, Any] | None) -> Role | None:
        """What the bearer of a certificate may do, as `getpeercert()` tells it; None is nothing.
        The handshake has seen that it is the authority's."""
        name = certificates.peer_identity(certificate)
        return None if name is None else identities.role_at(self._environment, name)

    async def renew(self, pem: bytes) -> float:
        """Takes a chain for the key that this replica has; until when it is good, in Unix seconds.

        Raises Invalid with `certificate:refused`, and then nothing has changed.
        """
        # Reading certificates takes an import that nothing else here needs.
        expires_at = await asyncio.to_thread(self._checked, pem)
        self._tls = replace(self._tls, certificate=pem.decode())
        certificates.load(self._context, self._tls.certificate, self._tls.key)
        for changed in self._changed:
            changed(self._tls)
        return expires_at

    def _checked(self, pem: bytes) -> float:
        from modelserver import renewal  # noqa: PLC0415

        try:
            return renewal.check(pem, self._tls, self._name)
        except ValueError as problem:
            raise Invalid("certificate:refused", f"The certificate {problem}.") from problem


def _context(tls: ReplicaTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=tls.authority)
    context.set_alpn_protocols(["http/1.1"])
    certificates.load(context, tls.certificate, tls.key)
    return context
