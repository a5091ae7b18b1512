"""Rows of deployments."""

from __future__ import annotations

from deployments.models.fleet import Environment, Host, Replica
from deployments.models.gateways import Gateway, GatewayState, Publication, Route, Snapshot
from deployments.models.images import Build, Image, ImageCopy
from deployments.models.keys import EndpointKey, KeyUsage
from deployments.models.registry import Alias, AliasMove, Artifact, Model, Version
from deployments.models.releases import Endpoint, Release
from deployments.models.rollouts import Operation, Rollout, RolloutEvent, SmokeResult

__all__ = [
    "Alias",
    "AliasMove",
    "Artifact",
    "Build",
    "Endpoint",
    "EndpointKey",
    "Environment",
    "Gateway",
    "GatewayState",
    "Host",
    "Image",
    "ImageCopy",
    "KeyUsage",
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
