"""Which Slipway this is: the name on everything that it leaves at places shared with others.

Two Slipways may use one Docker Engine. Each sees, stops and removes only what bears its own id.
"""

from __future__ import annotations

import os
import secrets
from functools import cache
from pathlib import Path

from core import ids


@cache
def identity(home: Path) -> str:
    """The id in this home, made once; the same for every program that asks."""
    path = home / "installation"
    try:
        return _read(path)
    except FileNotFoundError:
        _create(path)
        return _read(path)


def _read(path: Path) -> str:
    return path.read_text().strip()


def _create(path: Path) -> None:
    """A finished file is linked into place: of two programs at once, one wins and both agree."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with draft.open("x") as file:
        file.write(ids.new_ulid().lower() + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
