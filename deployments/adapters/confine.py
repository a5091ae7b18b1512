"""Runs one program under limits: `python confine.py LIMITS_JSON -- PROGRAM ARGUMENTS…`.

A program of its own, on the standard library alone: between a fork and an exec of a process with
threads no Python may run, so the limits are set after the exec of this and before the exec of what
is to be confined. It knows nothing of Django and nothing of models.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_CLONE_NEWIPC = 0x08000000

CANNOT_START = 125


def main(arguments: list[str]) -> int:
    limits: dict[str, int] = json.loads(arguments[0])
    program = arguments[2:]
    _lose_rights()
    _limit(resource.RLIMIT_AS, limits["memory_bytes"])
    _limit(resource.RLIMIT_FSIZE, limits["file_bytes"])
    _limit(resource.RLIMIT_NOFILE, limits["open_files"])
    _limit(resource.RLIMIT_CORE, 0)
    # The soft limit tells by SIGXCPU that it was the processor's time; the hard one only kills.
    resource.setrlimit(resource.RLIMIT_CPU, (limits["cpu_seconds"], limits["cpu_seconds"] + 2))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        os.execve(program[0], program, dict(os.environ))  # noqa: S606 - this is what it is for
    except OSError as problem:
        sys.stderr.write(f"cannot start {program[0]}: {problem}\n")
        return CANNOT_START


def _lose_rights() -> None:
    """Die with the parent, never gain rights, and see no network where the kernel allows it.

    Each is best effort: kernels differ in what an ordinary account may ask for, and the limits
    below hold in any case.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC)


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(what, (value, value))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
