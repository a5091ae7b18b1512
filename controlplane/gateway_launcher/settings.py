"""What the gateway program is told: by command line, or by environment for containers."""

from __future__ import annotations

import argparse
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


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
    """Exits with 2 and one line when something is missing or malformed."""
    parser = argparse.ArgumentParser(prog="gateway", description="Run Slipway's gateway.")
    _add(parser, "--web", "address of the control plane, http://host:port")
    _add(parser, "--listen", "ADDR:PORT that clients use; port 0 takes a free one")
    _add(parser, "--state", "folder for configuration, log and the last snapshot", kind=Path)
    _add(parser, "--token-file", "file with this gateway's token", kind=Path)
    _add(parser, "--node-id", "this gateway's public id")
    _add(parser, "--name", "name in the log", default="gateway")
    _add(parser, "--concurrency", "Envoy's worker threads", kind=int, default="1")
    parser.add_argument("--access-log", action="store_true", help="log each request")
    told = parser.parse_args(arguments)
    try:
        address, port = split_address(told.listen)
    except ValueError as problem:
        parser.error(str(problem))
    if urlsplit(told.web).scheme not in ("http", "https") or not urlsplit(told.web).hostname:
        parser.error("--web is an address like http://127.0.0.1:8000")
    return LauncherSettings(
        web=told.web,
        listen_address=address,
        listen_port=port,
        state=told.state,
        token_file=told.token_file,
        node_id=told.node_id,
        name=told.name,
        concurrency=told.concurrency,
        access_log=told.access_log,
    )


def _add(
    parser: argparse.ArgumentParser,
    flag: str,
    explanation: str,
    *,
    kind: type = str,
    default: str | None = None,
) -> None:
    variable = "SLIPWAY_GATEWAY_" + flag.removeprefix("--").replace("-", "_").upper()
    value = os.environ.get(variable, default)
    parser.add_argument(
        flag,
        type=kind,
        default=value,
        required=value is None,
        help=f"{explanation} (or {variable})",
    )


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
