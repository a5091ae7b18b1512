"""Which replicas there are to watch, and where they listen."""

from __future__ import annotations

from dataclasses import dataclass

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


def targets(shard: Shard) -> dict[str, Target]:
    """This shard's replicas that may still count something, by key. One query."""
    rows = Replica.objects.filter(state__in=Replica.PRESENT).values_list(
        "pk", "release_id", "release__endpoint_id", "state", "address", "port", "boot_id"
    )
    found = (_target(*row) for row in rows)
    return {target.id: target for target in found if shard.holds(target.name)}


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
