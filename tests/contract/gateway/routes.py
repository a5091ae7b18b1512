"""Routes of one endpoint, said shortly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from deployments.domain.routing import (
    EndpointRoute,
    EnvironmentRoutes,
    ExposedRelease,
    Grant,
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
    keys: Iterable[Grant] | None = None,
    mirror: Mapping[str, int] | None = None,
    max_body_bytes: int = 1024 * 1024,
    quota_resets_at: str = "",
) -> EnvironmentRoutes:
    """The endpoint `tumour`, and in `also` endpoints with one release of their own. Without `keys`
    it is open, as are the others."""
    main = EndpointRoute(
        name="tumour",
        shares=tuple(
            Share(release, VERSIONS[release], w, (mirror or {}).get(release, 0))
            for release, w in weights.items()
        ),
        exposed=tuple(ExposedRelease(release, VERSIONS[release]) for release in exposed),
        clusters=tuple(_cluster(release, found) for release, found in replicas.items()),
        is_open=keys is None,
        keys=tuple(keys or ()),
        max_body_bytes=max_body_bytes,
    )
    others = tuple(
        EndpointRoute(
            name=name,
            shares=(Share(f"rel_{name}", 1, 100),),
            clusters=(_cluster(f"rel_{name}", found),),
            is_open=True,
        )
        for name, found in (also or {}).items()
    )
    return EnvironmentRoutes(ENVIRONMENT, SECRET, (main, *others), quota_resets_at)


def _cluster(release: str, replicas: Sequence[Replica]) -> ReleaseCluster:
    addresses = tuple(each.address for each in replicas)
    return ReleaseCluster(release, addresses, VERSIONS.get(release, 1))
