"""Gives back what a burst took: freed memory stays with the process unless it is told otherwise."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

MIB = 1024 * 1024

# What is worth giving back, and how long a busy server may sit on it.
WORTH_BYTES = 16 * MIB
BUSY_SECONDS = 10.0
# Every thread with a heap of its own keeps what it once took; two are enough for what runs here.
_M_ARENA_MAX, _ARENAS = -8, 2


def resident_bytes() -> int:
    """Zero where nobody tells."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):  # not Linux
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def limit_heaps() -> None:
    """Before there are threads."""
    libc = _libc()
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


class Trimmer:
    """`look` is called every now and then, and `busy` says whether there are requests. `release`
    lets go of what is kept for later, in a thread."""

    def __init__(
        self,
        busy: Callable[[], bool],
        *,
        worth: int = WORTH_BYTES,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self._busy = busy
        self._release = release
        self._worth = worth
        self._low = 0
        self._tried_at = 0.0
        self._working = False

    def look(self) -> None:
        now = resident_bytes()
        if not self._low or now < self._low:
            self._low = now
        waits = self._busy() and time.monotonic() - self._tried_at < BUSY_SECONDS
        if now - self._low < self._worth or waits or self._working:
            return
        self._working = True
        # Takes milliseconds; the event loop goes on meanwhile.
        threading.Thread(target=self._trim, name="trim", daemon=True).start()

    def _trim(self) -> None:
        self._release()
        trim()
        self._low = resident_bytes()  # more than this is in use
        self._tried_at = time.monotonic()
        self._working = False


def trim() -> None:
    libc = _libc()
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
