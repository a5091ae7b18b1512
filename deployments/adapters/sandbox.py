"""Running a program that reads what a stranger sent, so that whatever it does harms nothing.

Limits of memory, processor time, wall time and files; an empty environment, a closed standard
input, no inherited descriptors, a scratch folder that is gone afterwards, a process group that is
killed as a whole, no network where the kernel allows it. It is not a container: the program still
runs as our account and can read what that account can.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from deployments.adapters import confine

ROOT = Path(__file__).resolve().parent.parent.parent
OUTPUT_BYTES = 16 * 1024**2
ERROR_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """`wall_seconds` is kept here, the rest by the kernel."""

    memory_bytes: int
    cpu_seconds: int
    wall_seconds: float
    file_bytes: int = 64 * 1024**2
    open_files: int = 64


class End(StrEnum):
    EXITED = "exited"
    KILLED = "killed"  # by a signal that we did not send
    OUT_OF_TIME = "out-of-time"  # wall or processor time
    CANNOT_START = "cannot-start"


@dataclass(frozen=True, slots=True)
class Finished:
    """How it ended. `code` is the exit code, or the number of the signal that killed it."""

    end: End
    code: int
    output: bytes
    errors: str
    seconds: float


def run(program: Sequence[str], limits: Limits) -> Finished:
    """Run `program` (an absolute path and its arguments) to its end, at most `wall_seconds`.

    Nothing of it is left when this returns: neither a process nor a file.
    """
    with tempfile.TemporaryDirectory(prefix="slipway-sandbox-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        scratch = folder / "scratch"
        scratch.mkdir(mode=0o700)
        with (folder / "out").open("w+b") as out, (folder / "err").open("w+b") as err:
            return _run(_confined(program, limits), limits, scratch, out.fileno(), err.fileno())


def python(module: str, *arguments: str) -> list[str]:
    """The command line of a module of this project in this interpreter."""
    # -P: never import from the working folder; -s: nor from the account's own packages.
    return [sys.executable, "-P", "-s", "-B", "-m", module, *arguments]


def _confined(program: Sequence[str], limits: Limits) -> list[str]:
    limits_json = json.dumps(
        {name: value for name, value in asdict(limits).items() if name != "wall_seconds"}
    )
    launcher = [sys.executable, "-I", "-S", "-B", confine.__file__]
    return [*launcher, limits_json, "--", *program]


def _environment(scratch: Path) -> dict[str, str]:
    """Only what an interpreter needs: where this project is, and one thread for its libraries."""
    return {
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _run(program: list[str], limits: Limits, scratch: Path, out: int, err: int) -> Finished:
    started = time.monotonic()
    process = subprocess.Popen(
        program,
        cwd=scratch,
        env=_environment(scratch),
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        close_fds=True,
        start_new_session=True,
    )
    try:
        in_time = _ended_within(process, limits.wall_seconds)
    finally:
        _kill_group(process)
    seconds = time.monotonic() - started
    end, number = _end(process.wait() if in_time else None)
    errors = _tail(err, ERROR_BYTES).decode("utf-8", "replace")
    return Finished(end, number, _head(out, OUTPUT_BYTES), errors, seconds)


def _ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Waits without reaping it: until then its number, and its group's, are nobody else's."""
    descriptor = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(descriptor)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Also after an ordinary end: what it started must not outlive it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _end(code: int | None) -> tuple[End, int]:
    if code is None:
        return End.OUT_OF_TIME, signal.SIGKILL
    if code >= 0:
        return (End.CANNOT_START if code == confine.CANNOT_START else End.EXITED), code
    if -code == signal.SIGXCPU:
        return End.OUT_OF_TIME, signal.SIGXCPU
    return End.KILLED, -code


def _head(descriptor: int, longest: int) -> bytes:
    """At most `longest` bytes and one more, so that too much is seen as too much."""
    return os.pread(descriptor, longest + 1, 0)


def _tail(descriptor: int, longest: int) -> bytes:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, longest, max(0, size - longest))
