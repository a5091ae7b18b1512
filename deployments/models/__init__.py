"""Rows of deployments."""

from __future__ import annotations

from deployments.models.fleet import Environment, Host, Replica
from deployments.models.gateways import Gateway, GatewayState, Publication, Route, Snapshot
from deployments.models.registry import Alias, AliasMove, Artifact, Model, Version
from deployments.models.releases import Endpoint, Release
from deployments.models.rollouts import Operation, Rollout, RolloutEvent, SmokeResult

__all__ = [
    "Alias",
    "AliasMove",
    "Artifact",
    "Endpoint",
    "Environment",
    "Gateway",
    "GatewayState",
    "Host",
    "Model",
    "Operation",
    "Publication",
    "Release",
    "Replica",
    "Rollout",
    "RolloutEvent",
    "Route",
    "SmokeResult",
    "Snapshot",
    "Version",
]
