"""Files that live for a moment: one private folder under the home, swept of what a killed process
has left there.

A named file here is locked by the process that uses it, and the kernel lets go of the lock when
that process ends, however it ends. So what nobody has locked is nobody's, and `sweep` deletes it.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import IO

import structlog
from django.conf import settings

log = structlog.get_logger(__name__)

# Between making a file and locking it.
_YOUNG_SECONDS = 30.0


def folder() -> Path:
    """The folder, made if there is none: nobody else can read what is in it."""
    path = Path(settings.FILE_UPLOAD_TEMP_DIR)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def hold(file: IO[bytes]) -> None:
    """Say that a file in the folder is in use for as long as it is open."""
    fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)


def sweep() -> int:
    """Delete what a process that was killed has left; how many files. Never raises."""
    swept = 0
    try:
        for path in folder().iterdir():
            swept += _delete_if_nobodys(path)
    except OSError as problem:
        log.warning("scratch_not_swept", problem=str(problem))
    if swept:
        log.info("scratch_swept", files=swept)
    return swept


def _delete_if_nobodys(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False  # gone, or nothing of ours
    try:
        if time.time() - os.fstat(descriptor).st_ctime < _YOUNG_SECONDS:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except OSError:
        return False  # in use
    finally:
        os.close(descriptor)
    return True
