"""One running program: its process group, its log, its end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from controlplane.supervisor import policy

_TETHER = Path(__file__).with_name("tether.py")


class Child:
    """A process in a session of its own: Ctrl-C in the terminal reaches the supervisor only.

    Tethered: it is told to end when this process dies. Started from the main thread, because the
    kernel takes the end of the thread that started it for the end of its parent.
    """

    def __init__(
        self, command: Sequence[str], *, log: Path, environ: Mapping[str, str], folder: Path
    ) -> None:
        tethered = [sys.executable, "-I", "-S", str(_TETHER), str(os.getpid()), *command]
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = subprocess.Popen(
                tethered,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                cwd=folder,
                env={**os.environ, **environ},
                start_new_session=True,
                # The database holds sessions: what programs write is for this account alone.
                umask=0o077,
            )
        finally:
            os.close(descriptor)

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        return self._process.poll()

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def end_group(self) -> None:
        """What a program that died by itself left in its group, such as Celery's pool."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        """A graceful stop is asked of the program itself, which knows its own children."""
        if self._process.poll() is None:
            try:
                if number == signal.SIGKILL:
                    os.killpg(self.pid, number)
                else:
                    os.kill(self.pid, number)
            except ProcessLookupError:
                pass


def cap_log(log: Path, cap: int) -> None:
    """Keep one older part. The writer appends, so it goes on at the start of the emptied file."""
    try:
        if not policy.log_is_full(log.stat().st_size, cap):
            return
        shutil.copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)
    except OSError:
        return  # a log is never worth a stop


def last_line(log: Path) -> str:
    """The last thing a program said, for the one line that a person reads."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    except OSError:
        return ""
    return next((line for line in reversed(lines) if line), "")[:300]
