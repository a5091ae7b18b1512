"""Processes of this home that nobody watches: replicas at a stop, anything after a crash.

Replicas are detached on purpose, so that a restarted worker does not end them; the supervisor is
the one who knows that the whole stack goes down.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

MARK = "SLIPWAY_STACK"
"""Set to the home in the environment of every program, and inherited by what it starts."""


def belongs(home: Path, command: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether a process was started for this home, judged by its command or by its mark."""
    return environ.get(MARK) == str(home) or is_replica(home, command, environ)


def is_replica(home: Path, command: Sequence[str], environ: Mapping[str, str]) -> bool:
    """A model server whose files lie in this home; its environment may be empty."""
    del environ
    within = f"{home}{os.sep}"
    return "modelserver" in command and any(argument.startswith(within) for argument in command)


Test = Callable[[Path, Sequence[str], Mapping[str, str]], bool]


def find(home: Path, test: Test = belongs) -> list[psutil.Process]:
    """Read-only. Never this process, its ancestors, or another user's."""
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in spared and _passes(process, home, test)
    ]


def end(
    home: Path,
    test: Test = belongs,
    *,
    grace: float = 3.0,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """SIGTERM to all, SIGKILL to those still there after `grace`; how many there were.

    Looks again afterwards, because a process may have started another meanwhile.
    """
    ended = 0
    deadline = clock() + 2 * grace + 1
    while (found := find(home, test)) and clock() < deadline:
        ended += len(found)
        for process in found:
            _quietly(process.terminate)
        _, stubborn = psutil.wait_procs(found, timeout=grace)
        for process in stubborn:
            _quietly(process.kill)
        psutil.wait_procs(stubborn, timeout=grace)
    return ended


def _passes(process: psutil.Process, home: Path, test: Test) -> bool:
    try:
        if process.uids().real != os.getuid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        return test(home, process.cmdline(), process.environ())
    except (psutil.Error, OSError):
        return False


def _quietly(action: Callable[[], None]) -> None:
    with contextlib.suppress(psutil.Error):
        action()
