"""What the production profile refuses to start with: plain connections, and keys that are none.

Everything that is wrong is said at once, each in a sentence that names the setting and the way out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from controlplane.config import Config

SHORTEST_PASSWORD = 12
_KEY_BYTES = 32
# 32 random bytes have fewer different ones about once in 10^30 times.
_FEWEST_DIFFERENT = 12
# Docker hands secrets to a container as files that everybody in it can read.
_DOCKER_SECRETS = Path("/run/secrets")


def problems(config: Config) -> list[str]:
    """What is wrong with these settings, and with the keys in the home; empty elsewhere than in
    production."""
    if config.profile != "production":
        return []
    return [
        *_web(config),
        *_certificate(config),
        *_redis(config),
        *_database(config),
        *_hosts(config),
        *_secrets(config.home / "secrets"),
    ]


def _web(config: Config) -> Iterator[str]:
    if urlsplit(config.web_url).scheme != "https":
        yield (
            f"SLIPWAY_WEB_URL={config.web_url} is plain HTTP: give the https:// address under which"
            " browsers and clients reach web."
        )
    if "*" in config.allowed_hosts:
        yield "SLIPWAY_ALLOWED_HOSTS allows every name: list those that are yours."


def _certificate(config: Config) -> Iterator[str]:
    given = {
        "SLIPWAY_TLS_CERTIFICATE": config.tls_certificate,
        "SLIPWAY_TLS_KEY": config.tls_key,
    }
    if len(missing := [name for name, path in given.items() if path is None]) == 1:
        yield f"{missing[0]} is missing: a certificate and its key are given together."
    for name, path in given.items():
        if path is not None and not path.is_file():
            yield f"{name}={path} is no file."
    key = config.tls_key
    if key is not None and key.is_file() and _DOCKER_SECRETS not in key.parents:
        yield from _readable_by_others(key)


def _redis(config: Config) -> Iterator[str]:
    url = urlsplit(config.redis_url)
    if url.scheme == "unix":
        return
    name = "SLIPWAY_REDIS_URL (or the file of SLIPWAY_REDIS_URL_FILE)"
    password = unquote(url.password or "")
    if not password:
        yield f"{name} has no password: set requirepass in Redis and put the password in the URL."
    elif len(password) < SHORTEST_PASSWORD:
        yield f"{name} has a password shorter than {SHORTEST_PASSWORD} characters: take a long one."
    if parse_qs(url.query).get("ssl_cert_reqs", ["required"])[-1] != "required":
        yield f"{name} asks for no check of Redis' certificate: leave ssl_cert_reqs out."
    if url.scheme != "rediss" and not _stays_here(url.hostname) and not config.private_network:
        yield (
            f"{name} is plain Redis on another machine: use rediss://, or say"
            " SLIPWAY_PRIVATE_NETWORK=true if nobody else is on the network between."
        )


def _database(config: Config) -> Iterator[str]:
    if not config.database_url:
        return
    url = urlsplit(config.database_url)
    name = "SLIPWAY_DATABASE_URL (or the file of SLIPWAY_DATABASE_URL_FILE)"
    password = unquote(url.password or "")
    if password and len(password) < SHORTEST_PASSWORD:
        yield f"{name} has a password shorter than {SHORTEST_PASSWORD} characters: take a long one."
    mode = parse_qs(url.query).get("sslmode", [""])[-1]
    if (
        mode not in ("verify-ca", "verify-full")
        and not _stays_here(url.hostname)
        and not config.private_network
    ):
        yield (
            f"{name} is PostgreSQL on another machine without a check of its certificate: add"
            " ?sslmode=verify-full&sslrootcert=FILE, or say SLIPWAY_PRIVATE_NETWORK=true if nobody"
            " else is on the network between."
        )


def _hosts(config: Config) -> Iterator[str]:
    if config.allow_plain_tcp_hosts:
        yield (
            "SLIPWAY_ALLOW_PLAIN_TCP_HOSTS lets whoever reaches a Docker Engine's port be root on"
            " its machine: unset it, and use TLS or SSH."
        )
    if config.allow_process_hosts:
        yield "SLIPWAY_ALLOW_PROCESS_HOSTS: nothing allows hosts of kind process here; unset it."


def _secrets(folder: Path) -> Iterator[str]:
    """Of what is there already; the rest is made as it has to be."""
    if not folder.is_dir():
        return
    yield from _readable_by_others(folder)
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix == ".pem" or not path.is_file():
            continue
        yield from _readable_by_others(path)
        if path.suffix != ".key":
            yield from _is_none(path)


def _is_none(path: Path) -> Iterator[str]:
    """A key that somebody typed instead of letting it be made."""
    try:
        key = path.read_bytes()
    except OSError as problem:
        yield f"The key {path} cannot be read ({problem.strerror}): make its owner who runs this."
        return
    if len(key) != _KEY_BYTES or len(set(key)) < _FEWEST_DIFFERENT:
        yield (
            f"The key {path} is not {_KEY_BYTES} random bytes: restore it from a backup, or delete"
            " it if nothing was ever encrypted or signed with it; then a new one is made."
        )


def _readable_by_others(path: Path) -> Iterator[str]:
    if path.stat().st_mode & 0o077:
        mode = "0700" if path.is_dir() else "0600"
        yield f"{path} can be read by others: chmod {mode}."


def _stays_here(host: str | None) -> bool:
    """Whether a connection to this host leaves the machine. No name, or a path, is a socket."""
    name = unquote(host or "")
    if not name or name.startswith("/") or name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
