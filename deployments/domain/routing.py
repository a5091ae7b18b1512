"""Desired routes in, Envoy resources out. Pure; the order of the input never shows in the output.

`derive(routes)` gives what one environment's gateways should run, by type; `content_hash` says
whether two snapshots are equal. A snapshot's *version* is a generation that only grows, never this
hash: going back to an earlier split must be a new version, or its acknowledgement could not be told
from the old one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import rfc8785

from deployments.domain.routing_clusters import CLUSTER_TYPE, clusters
from deployments.domain.routing_headers import (
    KEY_HEADER,
    RELEASE_HEADER,
    SMOKE_HEADER,
    SMOKE_MARKER,
    SMOKE_RELEASE_HEADER,
    VERSION_HEADER,
)
from deployments.domain.routing_inputs import (
    Address,
    EndpointRoute,
    EnvironmentRoutes,
    ExposedRelease,
    Grant,
    ReleaseCluster,
    Share,
)
from deployments.domain.routing_routes import ROUTE_CONFIG_NAME, ROUTE_TYPE, routes
from deployments.domain.routing_shapes import Resource

__all__ = [
    "CLUSTER_TYPE",
    "KEY_HEADER",
    "RELEASE_HEADER",
    "ROUTE_CONFIG_NAME",
    "ROUTE_TYPE",
    "SMOKE_HEADER",
    "SMOKE_MARKER",
    "SMOKE_RELEASE_HEADER",
    "TYPE_URLS",
    "VERSION_HEADER",
    "Address",
    "EndpointRoute",
    "EnvironmentRoutes",
    "ExposedRelease",
    "Grant",
    "ReleaseCluster",
    "Resource",
    "Share",
    "clusters",
    "clusters_named_by",
    "content_hash",
    "derive",
    "routes",
]

TYPE_URLS = (CLUSTER_TYPE, ROUTE_TYPE)


def derive(environment: EnvironmentRoutes) -> dict[str, list[Resource]]:
    """The resources of an environment by type url, clusters first (the order in which to store
    them: a route must never be visible before the cluster that it names)."""
    return {CLUSTER_TYPE: clusters(environment), ROUTE_TYPE: routes(environment)}


def content_hash(resources: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 (hex) of the canonical JSON, so the order of keys does not matter."""
    return hashlib.sha256(rfc8785.dumps(list(resources))).hexdigest()


def clusters_named_by(route_resources: Iterable[Mapping[str, object]]) -> frozenset[str]:
    """Every cluster that stored route resources send traffic to. Clusters and routes reach a
    gateway apart from each other, so a cluster may leave only when no route that a gateway may
    still run names it."""
    found: set[str] = set()
    pending: list[object] = list(route_resources)
    while pending:
        each = pending.pop()
        if isinstance(each, Mapping):
            if isinstance(name := each.get("cluster"), str):
                found.add(name)
            if isinstance(weighted := each.get("weighted_clusters"), Mapping):
                found |= {str(c["name"]) for c in weighted["clusters"]}
            pending.extend(each.values())
        elif isinstance(each, list):
            pending.extend(each)
    return frozenset(found)
