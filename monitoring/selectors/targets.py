"""Which replicas there are to watch, and where they listen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from core import ids
from deployments.models import Release, Replica
from monitoring.domain.shards import Shard


@dataclass(frozen=True, slots=True)
class Target:
    """One replica to watch. `id` and `endpoint_id` are keys; `name` and `release` public ids.

    `port` is None while nobody has written down where it listens.
    """

    id: str
    name: str
    release: str
    endpoint_id: str
    state: str
    address: str = ""
    port: int | None = None
    boot_id: str = ""

    @property
    def starting(self) -> bool:
        return self.state == Replica.State.STARTING


@dataclass(frozen=True, slots=True)
class Announced:
    """What a replica says of itself once it listens."""

    address: str
    port: int
    boot_id: str


def targets(shard: Shard) -> dict[str, Target]:
    """This shard's replicas that may still count something, by key. One query."""
    rows = Replica.objects.filter(state__in=Replica.PRESENT).values_list(
        "pk", "release_id", "release__endpoint_id", "state", "address", "port", "boot_id"
    )
    found = (_target(*row) for row in rows)
    return {target.id: target for target in found if shard.holds(target.name)}


def announced(folder: Path, name: str) -> Announced | None:
    """Where a replica of this machine listens, from the file that it writes.

    The reconcile loop writes the same into the row, but only when it next looks.
    """
    try:
        said = json.loads((folder / name / "announce.json").read_bytes())
        return Announced(str(said["address"]), int(said["port"]), str(said.get("boot_id", "")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _target(
    pk: str, release: str, endpoint: str, state: str, address: str, port: int | None, boot_id: str
) -> Target:
    return Target(
        id=pk,
        name=ids.public(Replica.PREFIX, pk),
        release=ids.public(Release.PREFIX, release),
        endpoint_id=endpoint,
        state=state,
        address=address,
        port=port,
        boot_id=boot_id,
    )
