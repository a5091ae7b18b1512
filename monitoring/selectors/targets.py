"""Which replicas there are to watch, and where they listen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import F

from core import ids
from deployments.models import Release, Replica
from monitoring.domain.shards import Shard
from wire import identity


@dataclass(frozen=True, slots=True)
class Target:
    """One replica to watch. `id` and `endpoint_id` are keys; `name` and `release` public ids;
    `environment` is a name.

    `port` is None while nobody has written down where it listens.
    """

    id: str
    name: str
    release: str
    endpoint_id: str
    environment: str
    state: str
    address: str = ""
    port: int | None = None
    boot_id: str = ""

    @property
    def starting(self) -> bool:
        return self.state == Replica.State.STARTING

    @property
    def identity(self) -> str:
        """The name in its certificate."""
        return identity.replica(self.environment, self.release, self.name)


def targets(shard: Shard) -> dict[str, Target]:
    """This shard's replicas that may still count something, by key. One query."""
    rows = Replica.objects.filter(state__in=Replica.PRESENT).values(
        "pk",
        "release_id",
        "state",
        "address",
        "port",
        "boot_id",
        endpoint_id=F("release__endpoint_id"),
        environment=F("release__endpoint__environment__name"),
    )
    found = (_target(**row) for row in rows)
    return {target.id: target for target in found if shard.holds(target.name)}


def _target(pk: str, release_id: str, **facts: Any) -> Target:
    return Target(
        id=pk,
        name=ids.public(Replica.PREFIX, pk),
        release=ids.public(Release.PREFIX, release_id),
        **facts,
    )
