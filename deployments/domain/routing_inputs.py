"""What a gateway's resources are derived from: one environment's routes, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from wire.serving import ServingConfig


@dataclass(frozen=True, slots=True)
class Share:
    """A release's part of an endpoint's traffic. `release_id` is the public id, which names the
    cluster."""

    release_id: str
    version: int
    percent: int
    mirror_percent: int = 0

    def __post_init__(self) -> None:
        for figure in (self.percent, self.mirror_percent):
            if not 0 <= figure <= 100:
                raise ValueError(f"a percentage lies between 0 and 100, not {figure}")


@dataclass(frozen=True, slots=True)
class ExposedRelease:
    """A release that answers at `/versions/N` although it may have no weight."""

    release_id: str
    version: int


class Address(NamedTuple):
    """Where one replica listens. Without `grpc_port` it is not asked over gRPC."""

    host: str
    port: int
    grpc_port: int | None = None


@dataclass(frozen=True, slots=True)
class ReleaseCluster:
    """Where a release's ready replicas are. Without addresses there is no cluster.

    `version` is what the gateways say who answered; None is left out.
    """

    release_id: str
    addresses: tuple[Address, ...]
    version: int | None = None

    @property
    def grpc_addresses(self) -> tuple[Address, ...]:
        return tuple(each for each in self.addresses if each.grpc_port)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key that is in force may do at one endpoint. `key_id` is the public id: the `jti` of
    the key's verified claims. An exhausted key has used up its requests of this day (UTC)."""

    key_id: str
    requests_per_minute: int | None = None
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class EndpointRoute:
    """`clusters` holds every release that the gateway must be able to reach, also those that only
    a smoke inference reaches yet: being there is what "added to the gateway" means.

    An open endpoint answers without a key; any other answers the keys that are named here and
    nobody else. `max_body_bytes` is the most that any of its releases takes.
    """

    name: str
    shares: tuple[Share, ...] = ()
    exposed: tuple[ExposedRelease, ...] = ()
    clusters: tuple[ReleaseCluster, ...] = ()
    is_open: bool = False
    keys: tuple[Grant, ...] = ()
    max_body_bytes: int = ServingConfig().max_body_bytes


@dataclass(frozen=True, slots=True)
class EnvironmentRoutes:
    """An empty `smoke_secret` means that no smoke route exists. `quota_resets_at` is when exhausted
    keys may be used again: an HTTP date."""

    environment: str
    smoke_secret: str
    endpoints: tuple[EndpointRoute, ...] = ()
    quota_resets_at: str = ""
