"""Who is who on the inner connections: the names in the certificates of the internal authority.

Each certificate carries exactly one URI. A replica answers inferences of gateways of its own
environment and everything of the control plane; nobody else gets past its handshake. A gateway
connects to a replica only if its certificate names the release that the route means, so that a
port that was given to somebody else is never taken for the release.
"""

from __future__ import annotations

import re
from enum import StrEnum

_ROOT = "spiffe://slipway"
_GATEWAY = re.compile(rf"{_ROOT}/environment/([^/]+)/gateway/[^/]+")
_REPLICA = re.compile(rf"{_ROOT}/environment/[^/]+/release/[^/]+/replica/[^/]+")

CONTROL_PLANE = f"{_ROOT}/control-plane"
"""Collector and workers: readiness, telemetry, smoke inferences, renewal of certificates."""

WEB = f"{_ROOT}/web"
"""The control plane's own web server, to its gateways."""


class Role(StrEnum):
    """What a peer may ask of a replica."""

    GATEWAY = "gateway"  # inferences, metadata, health
    CONTROL_PLANE = "control-plane"  # everything


def release(environment: str, release_id: str) -> str:
    """What the certificates of this release's replicas begin with."""
    return f"{_ROOT}/environment/{environment}/release/{release_id}/"


def replica(environment: str, release_id: str, replica_id: str) -> str:
    return f"{release(environment, release_id)}replica/{replica_id}"


def gateway(environment: str, gateway_id: str) -> str:
    return f"{_ROOT}/environment/{environment}/gateway/{gateway_id}"


def may_listen(uri: str) -> bool:
    """Whether its certificate may be shown by a server: everybody's but the control plane's."""
    return uri != CONTROL_PLANE


def may_connect(uri: str) -> bool:
    """Whether its certificate may be shown by a client: a replica and `web` only answer."""
    return uri != WEB and not _REPLICA.fullmatch(uri)


def role_at(environment: str, uri: str) -> Role | None:
    """What the bearer of this name may do at a replica of this environment; None is nothing."""
    if uri == CONTROL_PLANE:
        return Role.CONTROL_PLANE
    found = _GATEWAY.fullmatch(uri)
    return Role.GATEWAY if found and found[1] == environment else None
