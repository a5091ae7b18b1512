"""Where a replica of this machine listens, from the file that it writes itself.

The reconcile loop writes the same into the replica's row, but only when it next looks; a replica
that is ready sooner need not wait for that.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Announced:
    """What a replica says of itself once it listens."""

    address: str
    port: int
    grpc_port: int | None
    boot_id: str


def announced(folder: Path, name: str) -> Announced | None:
    """None while it has not announced itself, or when it runs on another machine."""
    try:
        said = json.loads((folder / name / "announce.json").read_bytes())
        grpc_port = said.get("grpc_port")
        return Announced(
            address=str(said["address"]),
            port=int(said["port"]),
            grpc_port=None if grpc_port is None else int(grpc_port),
            boot_id=str(said.get("boot_id", "")),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
