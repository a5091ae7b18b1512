"""Who runs this home: one lock file, held for as long as its supervisor lives."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from controlplane.supervisor.errors import CannotStart


@dataclass(frozen=True, slots=True)
class Holder:
    pid: int
    web_url: str


class HomeLock:
    """The kernel lets go of it when the process ends, however it ends: a crash locks nobody out."""

    def __init__(self, run: Path) -> None:
        self.path = run / "lock"
        self._descriptor: int | None = None

    def take(self, web_url: str) -> Self:
        """Raises CannotStart when another supervisor runs this home."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise CannotStart(_already(self.holder(), self.path.parent.parent)) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(asdict(Holder(os.getpid(), web_url))).encode())
        self._descriptor = descriptor
        return self

    def release(self) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> Holder | None:
        """Who holds it now, or None. A pid is only believed while the lock is held."""
        try:
            descriptor = os.open(self.path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            return _read_holder(self.path)
        finally:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _read_holder(path: Path) -> Holder:
    try:
        return Holder(**json.loads(path.read_text()))
    except (ValueError, TypeError):
        # Between taking the lock and writing the name there is a moment without one.
        return Holder(pid=0, web_url="")


def _already(holder: Holder | None, home: Path) -> str:
    where = f" at {holder.web_url} (pid {holder.pid})" if holder and holder.pid else ""
    return (
        f"Slipway already runs in {home}{where}:"
        f" use that one, stop it (Ctrl-C there, or SLIPWAY_HOME={home} make down),"
        " or set SLIPWAY_HOME to another folder."
    )
