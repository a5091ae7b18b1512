"""Ties a supervisor to whoever started it: standard input ends when that program does."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TextIO


def reader_of(stream: TextIO) -> Callable[[], bool]:
    """True until the stream ends. Works however the writer ended, even by SIGKILL."""
    ended = threading.Event()

    def drain() -> None:
        while os.read(stream.fileno(), 4096):
            pass
        ended.set()

    threading.Thread(target=drain, name="stdin", daemon=True).start()
    return lambda: not ended.is_set()
