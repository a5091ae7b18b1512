"""Tiny programs that the supervisor looks after in these tests, instead of the real ones."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from controlplane.supervisor.programs import Program

STAYS = "import time; time.sleep(60)"
STUBBORN = (
    "import signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('up', flush=True); time.sleep(60)"
)
DIES = "raise SystemExit(3)"
FORKS = (
    "import subprocess, sys, time\n"
    f"child = subprocess.Popen([sys.executable, '-c', {STAYS!r}])\n"
    "print(child.pid, flush=True); time.sleep(60)"
)


def python(name: str, code: str, *, stage: int = 0, grace: float = 5.0) -> Program:
    return Program(name, (sys.executable, "-c", code), stage, grace=grace)


def eventually(condition: Callable[[], bool], *, within: float = 10.0) -> None:
    """Wait for it; fail with its name when it does not come."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s: {condition}"
        time.sleep(0.02)


def said(log: Path) -> str:
    return log.read_text() if log.exists() else ""
