"""Runs a command that ends when its parent does: `tether.py PARENT_PID COMMAND…`.

Asks the kernel for SIGTERM at the parent's death and becomes the command. A program of its own
instead of a hook between fork and exec: running Python there is unsafe as soon as there is a
thread. Started with -I -S, so it costs about 20 ms.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before we had asked
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - the supervisor wrote the command


if __name__ == "__main__":
    main(sys.argv[1:])
