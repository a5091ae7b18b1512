"""What the gateway program is told: by command line, or by environment for containers."""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class ListenerTls(StrEnum):
    """What clients speak to."""

    PLAIN = "plain"
    GENERATED = "generated"  # the certificate that the gateway has of the internal authority
    FILES = "files"  # one of your own


_TLS = "tls"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client, or all of them, may take of this gateway."""

    headers_seconds: float = 10.0
    request_seconds: float = 60.0
    idle_seconds: float = 300.0
    connections: int = 20_000
    memory_bytes: int = 1024**3


@dataclass(frozen=True, slots=True)
class LauncherSettings:
    web: str
    listen_address: str
    listen_port: int
    state: Path
    token_file: Path
    node_id: str
    name: str = "gateway"
    concurrency: int = 1
    access_log: bool = False
    drain_seconds: float = 5.0
    web_ca: Path | None = None
    tls: ListenerTls = ListenerTls.PLAIN
    certificate: Path | None = None
    key: Path | None = None
    limits: Limits = Limits()

    @property
    def web_host(self) -> str:
        return urlsplit(self.web).hostname or "127.0.0.1"

    @property
    def web_port(self) -> int:
        parts = urlsplit(self.web)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def web_is_https(self) -> bool:
        return urlsplit(self.web).scheme == "https"


def parse(arguments: Sequence[str] | None = None) -> LauncherSettings:
    """Exits with 2 and one line when something is missing, malformed or not allowed."""
    parser = _parser()
    told = parser.parse_args(arguments)
    try:
        address, port = split_address(told.listen)
        tls = _listener_tls(told)
        node_id, token_file = _who(told)
        _check_web(told.web, told.profile)
    except ValueError as problem:
        parser.error(str(problem))
    return LauncherSettings(
        web=told.web,
        listen_address=address,
        listen_port=port,
        state=told.state,
        token_file=token_file,
        node_id=node_id,
        name=told.name,
        concurrency=told.concurrency,
        access_log=told.access_log,
        web_ca=told.web_ca,
        tls=tls,
        certificate=told.tls_certificate,
        key=told.tls_key,
        limits=Limits(
            headers_seconds=told.headers_seconds,
            request_seconds=told.request_seconds,
            idle_seconds=told.idle_seconds,
            connections=told.connections,
            memory_bytes=told.memory_bytes,
        ),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gateway", description="Run Slipway's gateway.")
    _add(parser, "--web", "address of the control plane, https://host:port")
    _add(parser, "--listen", "ADDR:PORT that clients use; port 0 takes a free one")
    _add(parser, "--state", "folder for configuration, log and the last snapshot", kind=Path)
    _add(parser, "--token-file", "file with this gateway's token", kind=Path, default="")
    _add(parser, "--node-id", "this gateway's public id", default="")
    _add(parser, "--joined", "file with `id` and `token_file`, instead", kind=Path, default="")
    _add(parser, "--name", "name in the log", default="gateway")
    _add(parser, "--concurrency", "Envoy's worker threads", kind=int, default=1)
    parser.add_argument("--access-log", action="store_true", help="log each request")
    _add(parser, "--web-ca", "authority of the control plane's certificate", kind=Path, default="")
    _add(
        parser,
        "--tls",
        "plain, generated or files; alone: the latter where there are any, else generated",
        default="",
        nargs="?",
        const=_TLS,
    )
    _add(parser, "--tls-certificate", "certificate chain for clients", kind=Path, default="")
    _add(parser, "--tls-key", "its private key", kind=Path, default="")
    limits = Limits()
    _add(parser, "--headers-seconds", "for headers", kind=float, default=limits.headers_seconds)
    _add(parser, "--request-seconds", "for a request", kind=float, default=limits.request_seconds)
    _add(parser, "--idle-seconds", "of an idle connection", kind=float, default=limits.idle_seconds)
    _add(parser, "--connections", "of all clients", kind=int, default=limits.connections)
    _add(parser, "--memory-bytes", "of Envoy", kind=int, default=limits.memory_bytes)
    parser.add_argument(
        "--profile",
        choices=("embedded", "production"),
        default=os.environ.get("SLIPWAY_PROFILE", "embedded"),
        help="production refuses plain connections (or SLIPWAY_PROFILE)",
    )
    return parser


def _add(
    parser: argparse.ArgumentParser,
    flag: str,
    explanation: str,
    *,
    kind: type = str,
    default: Any = None,
    **how: Any,
) -> None:
    variable = "SLIPWAY_GATEWAY_" + flag.removeprefix("--").replace("-", "_").upper()
    value = os.environ.get(variable, default)
    parser.add_argument(
        flag,
        # An empty path would be the current folder.
        type=kind,
        default=value if value != "" else None,
        required=value is None,
        help=f"{explanation} (or {variable})",
        **how,
    )


def _who(told: argparse.Namespace) -> tuple[str, Path]:
    if told.joined is None:
        if told.node_id is None or told.token_file is None:
            raise ValueError("give --node-id and --token-file, or --joined")
        return told.node_id, told.token_file
    try:
        joined = json.loads(told.joined.read_text())
        return str(joined["id"]), told.joined.parent / str(joined["token_file"])
    except (OSError, ValueError, LookupError, TypeError) as problem:
        raise ValueError(f"{told.joined} does not say `id` and `token_file`") from problem


def _listener_tls(told: argparse.Namespace) -> ListenerTls:
    own = told.tls_certificate is not None or told.tls_key is not None
    production = told.profile == "production"
    usual = ListenerTls.GENERATED if production or told.tls == _TLS else ListenerTls.PLAIN
    asked = "" if told.tls == _TLS else told.tls
    try:
        tls = ListenerTls(asked or (ListenerTls.FILES if own else usual))
    except ValueError as problem:
        raise ValueError(f"--tls is plain, generated or files, not '{told.tls}'") from problem
    if own != (tls is ListenerTls.FILES) or (told.tls_certificate is None) != (
        told.tls_key is None
    ):
        raise ValueError("--tls files takes --tls-certificate and --tls-key, and nothing else does")
    if production and tls is ListenerTls.PLAIN:
        raise ValueError("in production clients are not answered without TLS: drop --tls plain")
    return tls


def _check_web(web: str, profile: str) -> None:
    parts = urlsplit(web)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("--web is an address like https://slipway.example")
    if profile == "production" and parts.scheme == "http":
        raise ValueError("in production the control plane is asked over TLS: --web https://…")


def split_address(text: str) -> tuple[str, int]:
    """`127.0.0.1:8080` or `[::1]:8080`; the address is an IP address."""
    address, _, port = text.rpartition(":")
    address = address.strip("[]")
    try:
        ipaddress.ip_address(address)
        number = int(port)
    except ValueError as problem:
        raise ValueError(f"--listen is an IP address and a port, not '{text}'") from problem
    if not 0 <= number <= 65535:
        raise ValueError(f"a port lies between 0 and 65535, not {number}")
    return address, number
