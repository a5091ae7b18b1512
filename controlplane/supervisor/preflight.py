"""What must hold before anything is started; each answer is one line that says what to do."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable

import psutil

from controlplane import config as settings
from controlplane import production
from controlplane.supervisor.config import StackConfig
from controlplane.supervisor.errors import CannotStart

_MIB = 1024**2


def check(config: StackConfig, *, version: tuple[int, ...] = sys.version_info[:2]) -> None:
    """Raises CannotStart with the first thing that is wrong. Creates the home's folders."""
    if version < (3, 11):
        raise CannotStart(
            f"Slipway needs Python 3.11 or newer and this is {version[0]}.{version[1]}:"
            " install python3.11 and python3.11-venv, remove .venv, run make setup."
        )
    check_settings()
    prepare_home(config)
    check_disk(config)


def check_settings() -> None:
    """What its programs would end with, before any of them is started."""
    try:
        given = settings.read()
    except settings.Unfit as problem:
        raise CannotStart(str(problem)) from None
    if given.profile == "production":
        first = (
            "make up is for one machine on its own: its programs talk plainly on loopback, and its"
            " replicas are processes. For production there is docker-compose.yml"
            " (docs/how-to/compose.md)."
        )
        raise CannotStart(str(settings.Unfit([first, *production.problems(given)])))


def prepare_home(config: StackConfig) -> None:
    try:
        config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for database in config.home.glob("db.sqlite3*"):
            database.chmod(0o600)
        for folder in (config.run, config.logs):
            folder.mkdir(mode=0o700, exist_ok=True)
        probe = config.run / "writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as problem:
        reason = (problem.strerror or str(problem)).lower()
        raise CannotStart(
            f"Slipway cannot write to {config.home} ({reason}):"
            " make it writable or set SLIPWAY_HOME to another folder."
        ) from problem


def wipe(config: StackConfig) -> None:
    """Empty a home whose story begins anew each time. Never a home that was made without `fresh`.

    The lock stays, because it is held; the static files, because they come from the code.
    """
    mark = config.home / ".fresh"
    if not mark.exists() and (config.home / "db.sqlite3").exists():
        raise CannotStart(
            f"{config.home} holds a Slipway with data, which a demo would wipe:"
            " set SLIPWAY_HOME to another folder."
        )
    mark.touch()
    for entry in config.home.iterdir():
        if entry.name in (".fresh", "run", "log", "static"):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def check_disk(
    config: StackConfig, *, free: Callable[[str], int] = lambda path: shutil.disk_usage(path).free
) -> None:
    available = free(str(config.home))
    if available < config.free_bytes_needed:
        raise CannotStart(
            f"{config.home} has {available // _MIB} MB free and Slipway needs"
            f" {config.free_bytes_needed // _MIB} MB: free some space or set SLIPWAY_HOME"
            " to a folder on another disk."
        )


def check_ports(config: StackConfig) -> None:
    for variable, port in config.ports.named().items():
        if _is_taken(port):
            raise CannotStart(
                f"Port {port} is taken{_taker(port)}: stop that program or choose another port,"
                f" for example {variable}={_free_port()}."
            )


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # Without this, a port whose last connections are in TIME_WAIT would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _taker(port: int) -> str:
    """Who has it, as far as this user may see."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.pid:
                continue
            if connection.laddr and connection.laddr.port == port:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.Error, OSError):
        pass
    return " by another program"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
