"""Cleans up after a supervisor that was killed: `python -m controlplane.supervisor.guard HOME`.

The kernel tells the programs that their supervisor is gone (see `tether`), but replicas are
detached and would stay. This process waits for the end of its input; a supervisor that stops in
order says so first, and then there is nothing to do.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from controlplane.supervisor import containers, leftovers

_ALL_IS_WELL = b"stopped"
_PROGRAMS_NEED = 2.0


class Guard:
    """The supervisor's side of it."""

    def __init__(self, home: Path, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "controlplane.supervisor.guard", str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        self._process.communicate(_ALL_IS_WELL)


def main(home: Path) -> None:
    if sys.stdin.buffer.read() == _ALL_IS_WELL:
        return
    time.sleep(_PROGRAMS_NEED)  # a program that ends by itself ends better
    leftovers.end(home)
    containers.end(home)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
