"""The certificate that `web` shows, from files or of the internal authority, renewed as it runs."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import structlog

from controlplane.config import Config
from core import clock, pki
from core.pki import Authority, Issued
from wire import certificates, identity

log = structlog.get_logger(__name__)


class Shown(Protocol):
    """What a server shows. `context` is always the same object; `refresh` renews what is in it,
    for handshakes from then on, and never raises."""

    context: ssl.SSLContext

    def refresh(self) -> None: ...


def of_web(config: Config, authority: Authority) -> Shown | None:
    """None where web is plain: in the embedded profile, and behind a proxy that does TLS."""
    if config.tls_certificate and config.tls_key:
        return FromFiles(config.tls_certificate, config.tls_key)
    if config.profile != "production" or config.behind_tls_proxy:
        return None
    host = urlsplit(config.web_url).hostname or "localhost"
    return OfAuthority(authority, [host, *_plain_names(config)], hours=config.certificate_hours)


class FromFiles:
    """Somebody else puts a new certificate there when the old one ends.

    Raises:
        ssl.SSLError, OSError: they are no certificate and key that belong together.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate, self._key = certificate, key
        self.context = _server_context()
        self._seen = self._times()
        self.context.load_cert_chain(certificate, key)

    def refresh(self) -> None:
        try:
            times = self._times()
            if times == self._seen:
                return
            # A trial first: of a pair that is only half replaced, nothing may be shown.
            _server_context().load_cert_chain(self._certificate, self._key)
            self.context.load_cert_chain(self._certificate, self._key)
        except OSError as problem:
            log.warning("certificate_not_read", file=str(self._certificate), problem=str(problem))
            return
        self._seen = times
        log.info("certificate_read_again", file=str(self._certificate))

    def _times(self) -> tuple[int, int]:
        return self._certificate.stat().st_mtime_ns, self._key.stat().st_mtime_ns


class OfAuthority:
    """One of the internal authority, in memory only."""

    def __init__(self, authority: Authority, names: list[str], *, hours: float) -> None:
        self._authority, self._names, self._hours = authority, names, hours
        self.context = _server_context()
        self._issued = self._renewed()

    def refresh(self) -> None:
        if pki.is_due(self._issued.certificate, clock.now()):
            self._issued = self._renewed()
            log.info("certificate_renewed", names=self._names)

    def _renewed(self) -> Issued:
        issued = self._authority.issue(identity.WEB, hours=self._hours, names=self._names)
        certificates.load(self.context, issued.certificate, issued.key)
        return issued


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _plain_names(config: Config) -> list[str]:
    """The allowed hosts that are names or addresses and no patterns."""
    names = (name.strip("[]") for name in config.allowed_hosts)
    return [name for name in names if name and not name.startswith((".", "*"))]
