"""Routes of one endpoint, said shortly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from deployments.domain.routing import (
    EndpointRoute,
    EnvironmentRoutes,
    ExposedRelease,
    ReleaseCluster,
    Share,
)
from tests.contract.gateway.harness import ENVIRONMENT, Replica

BLUE = "rel_01J0000000000000000000B1VE"
GREEN = "rel_01J0000000000000000000GREE"
VERSIONS = {BLUE: 1, GREEN: 2}
SECRET = "the-smoke-secret"


def tumour(
    weights: Mapping[str, int],
    replicas: Mapping[str, Sequence[Replica]],
    *,
    exposed: Iterable[str] = (),
    also: Mapping[str, Sequence[Replica]] | None = None,
) -> EnvironmentRoutes:
    """The endpoint `tumour`, and in `also` endpoints with one release of their own."""
    main = EndpointRoute(
        name="tumour",
        shares=tuple(Share(release, VERSIONS[release], w) for release, w in weights.items()),
        exposed=tuple(ExposedRelease(release, VERSIONS[release]) for release in exposed),
        clusters=tuple(_cluster(release, found) for release, found in replicas.items()),
    )
    others = tuple(
        EndpointRoute(
            name=name,
            shares=(Share(f"rel_{name}", 1, 100),),
            clusters=(_cluster(f"rel_{name}", found),),
        )
        for name, found in (also or {}).items()
    )
    return EnvironmentRoutes(ENVIRONMENT, SECRET, (main, *others))


def _cluster(release: str, replicas: Sequence[Replica]) -> ReleaseCluster:
    return ReleaseCluster(release, tuple(each.address for each in replicas))
