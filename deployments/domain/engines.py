"""Where a Docker Engine is reached, as people write it.

    unix:///var/run/docker.sock     on this machine
    tcp://10.0.0.7:2376             over mutual TLS
    ssh://slipway@10.0.0.7:22       by the system's `ssh`

Whoever reaches an Engine is root on its machine, so nothing else is accepted: no plain TCP but on
loopback, no words that another program could take for an option.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

FORMS = "An address is unix:///path, tcp://host:port or ssh://user@host, perhaps with a port."
_HOST = re.compile(r"[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?")
_USER = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.-]*")
_PATH = re.compile(r"/[0-9A-Za-z_./@-]+")


@dataclass(frozen=True, slots=True)
class Credentials:
    """For an Engine behind mutual TLS, all PEM: who must have signed its certificate, and ours."""

    authority: str
    certificate: str
    key: str = field(repr=False)


class BadAddress(ValueError):
    """The sentence says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """`kind` is unix, tcp or ssh; `port` is 0 where `ssh` decides."""

    kind: str
    host: str = ""
    port: int = 0
    user: str = ""
    path: str = ""

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine for sure."""
        return self.kind == "unix" or (self.kind == "tcp" and _is_loopback(self.host))


def parse(text: str) -> EngineAddress:
    """Raises BadAddress."""
    if not text.isprintable() or " " in text:
        raise BadAddress(FORMS)  # what parsing would silently take out
    try:
        parts = urlsplit(text)
        port = parts.port or 0
    except ValueError:
        raise BadAddress(FORMS) from None
    if parts.query or parts.fragment or parts.password is not None:
        raise BadAddress(FORMS)
    match parts.scheme:
        case "unix" if not parts.netloc and _PATH.fullmatch(parts.path):
            return EngineAddress("unix", path=parts.path)
        case "tcp" if port and not parts.path and parts.username is None:
            return EngineAddress("tcp", host=_host(parts.hostname), port=port)
        case "ssh" if not parts.path:
            user = parts.username or ""
            if user and not _USER.fullmatch(user):
                raise BadAddress("The user of an ssh address has letters, digits, '.', '_', '-'.")
            return EngineAddress("ssh", host=_host(parts.hostname), port=port, user=user)
    raise BadAddress(FORMS)


def publish_default(engine: EngineAddress) -> str:
    """Where the Engine itself is reached, if that is an IP address; empty if it is not known."""
    if engine.kind == "unix":
        return "127.0.0.1"
    return engine.host if _is_ip(engine.host) else ""


def publish_problem(text: str, engine: EngineAddress) -> str | None:
    """Why the ports of replicas cannot be published there, as a sentence; None if they can."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "The publish address is an IP address of the host, without a port."
    if address.is_unspecified or address.is_multicast:
        return "Publish on one address that gateways reach, not on all or several."
    if address.is_loopback and not engine.is_here:
        return "Gateways cannot reach the loopback address of another machine."
    return None


def _host(name: str | None) -> str:
    if name and (_HOST.fullmatch(name) or _is_ip(name)):
        return name
    raise BadAddress(FORMS)


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback)
