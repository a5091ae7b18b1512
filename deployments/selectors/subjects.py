"""Rows as governance knows them: by kind and id, and the scopes that they lie in."""

from __future__ import annotations

from collections.abc import Sequence

from deployments.models import (
    Endpoint,
    EndpointKey,
    Environment,
    Gateway,
    Host,
    Image,
    Model,
    Rollout,
    Version,
)
from governance.domain.access import Subject


def of_model(model: Model) -> Subject:
    return Subject("model", model.pk, team_id=model.team_id, model_id=model.pk)


def of_version(version: Version, model: Model) -> Subject:
    return Subject("version", version.pk, team_id=model.team_id, model_id=model.pk)


def of_environment(environment: Environment) -> Subject:
    return Subject("environment", environment.pk, environment_id=environment.pk)


def of_host(host: Host) -> Subject:
    return Subject("host", host.pk, environment_id=host.environment_id)


def of_gateway(gateway: Gateway) -> Subject:
    return Subject("gateway", gateway.pk, environment_id=gateway.environment_id)


def of_image(image: Image, host: Host) -> Subject:
    """On a host. Needs `image.version.model`: load it with the row."""
    model = image.version.model
    return Subject(
        "image",
        image.pk,
        team_id=model.team_id,
        environment_id=host.environment_id,
        model_id=model.pk,
    )


def of_endpoint(endpoint: Endpoint) -> Subject:
    """Needs `endpoint.model`: load it with the row."""
    return Subject(
        "endpoint",
        endpoint.pk,
        team_id=endpoint.model.team_id,
        environment_id=endpoint.environment_id,
        model_id=endpoint.model_id,
    )


def of_place(model: Model, environment: Environment) -> Subject:
    """The endpoint of a model in an environment, whether there is one already or not."""
    return Subject(
        "endpoint", team_id=model.team_id, environment_id=environment.pk, model_id=model.pk
    )


def of_rollout(rollout: Rollout) -> Subject:
    """Needs `rollout.endpoint.model`: load it with the row."""
    within = of_endpoint(rollout.endpoint)
    return Subject(
        "rollout",
        rollout.pk,
        team_id=within.team_id,
        environment_id=within.environment_id,
        model_id=within.model_id,
    )


def of_key(key: EndpointKey, endpoints: Sequence[Endpoint]) -> Subject:
    """A key that reaches one endpoint only lies where that one does; needs `endpoint.model`."""
    if len(endpoints) != 1:
        return Subject("key", key.pk, environment_id=key.environment_id)
    within = of_endpoint(endpoints[0])
    return Subject(
        "key",
        key.pk,
        team_id=within.team_id,
        environment_id=within.environment_id,
        model_id=within.model_id,
    )
