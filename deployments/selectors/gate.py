"""The one gate to objects: each function finds what this actor may see, or raises NotFound.

What is absent and what is invisible look the same. Services and the readers in this package start
here; nobody else looks a row up by a name or id that came from outside.
"""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model as Row
from django.db.models import QuerySet

from core import ids
from core.errors import NotFound
from deployments.models import (
    Alias,
    Build,
    Endpoint,
    EndpointKey,
    Environment,
    Gateway,
    Host,
    Image,
    Model,
    Operation,
    Release,
    Rollout,
    Version,
)
from governance import authorize
from governance.domain.access import Actor

R = TypeVar("R", bound=Row)


def models(actor: Actor) -> QuerySet[Model]:
    return authorize.visible(
        actor, "model.read", Model.objects.all(), team_path="team_id", model_path="pk"
    )


def environments(actor: Actor) -> QuerySet[Environment]:
    return authorize.visible(
        actor, "environment.read", Environment.objects.all(), environment_path="pk"
    )


def hosts(actor: Actor) -> QuerySet[Host]:
    return authorize.visible(
        actor,
        "environment.read",
        Host.objects.filter(removed_at=None),
        environment_path="environment_id",
    )


def gateways(actor: Actor) -> QuerySet[Gateway]:
    return authorize.visible(
        actor,
        "environment.read",
        Gateway.objects.filter(removed_at=None),
        environment_path="environment_id",
    )


def endpoints(actor: Actor, action: str = "endpoint.read") -> QuerySet[Endpoint]:
    return _of_endpoints(actor, action, Endpoint.objects.all(), "")


def keys(actor: Actor) -> QuerySet[EndpointKey]:
    """Those that reach some endpoint which the actor sees."""
    reached = endpoints(actor, "key.read").values("pk")
    reaching = EndpointKey.endpoints.through.objects.filter(endpoint__in=reached)
    return EndpointKey.objects.filter(pk__in=reaching.values("endpointkey_id"))


def rollouts(actor: Actor) -> QuerySet[Rollout]:
    return _of_endpoints(actor, "endpoint.read", Rollout.objects.all(), "endpoint__")


def releases(actor: Actor) -> QuerySet[Release]:
    return _of_endpoints(actor, "endpoint.read", Release.objects.all(), "endpoint__")


def images(actor: Actor) -> QuerySet[Image]:
    """Those of the releases that they may see."""
    rows = Release.objects.filter(image__isnull=False)
    seen = _of_endpoints(actor, "image.read", rows, "endpoint__")
    return Image.objects.filter(pk__in=seen.values("image"))


def builds(actor: Actor) -> QuerySet[Build]:
    return Build.objects.filter(image__in=images(actor).values("pk"))


def operations(actor: Actor) -> QuerySet[Operation]:
    rows = Operation.objects.select_related(
        "rollout__target_release__version", "rollout__stable_release__version"
    )
    return _of_endpoints(actor, "endpoint.read", rows, "rollout__endpoint__")


def model_for(actor: Actor, name: str) -> Model:
    return _one(models(actor).filter(name=name), f"There is no model {name[:60]!r}.", "model")


def version_for(model: Model, number: int) -> Version:
    """A version of a model that has been found for the actor."""
    rows = Version.objects.select_related("artifact", "created_by").filter(model=model)
    sentence = f"The model {model.name!r} has no version {number}."
    version = _one(rows.filter(number=number), sentence, "version")
    version.model = model
    return version


def alias_for(model: Model, name: str) -> Alias:
    """An alias of a model that has been found for the actor."""
    rows = Alias.objects.select_related("version").filter(model=model, name=name)
    alias = _one(rows, f"The model {model.name!r} has no alias {name[:60]!r}.", "alias")
    alias.model = model
    return alias


def environment_for(actor: Actor, name: str) -> Environment:
    sentence = f"There is no environment {name[:60]!r}."
    return _one(environments(actor).filter(name=name), sentence, "environment")


def host_for(actor: Actor, public_id: str) -> Host:
    rows = hosts(actor).select_related("environment")
    return _by_id(rows, public_id, Host.PREFIX, "host")


def gateway_for(actor: Actor, public_id: str) -> Gateway:
    rows = gateways(actor).select_related("environment")
    return _by_id(rows, public_id, Gateway.PREFIX, "gateway")


def endpoint_for(actor: Actor, public_id: str) -> Endpoint:
    rows = endpoints(actor).select_related("model", "environment")
    return _by_id(rows, public_id, Endpoint.PREFIX, "endpoint")


def endpoint_named(actor: Actor, place: Environment, name: str) -> Endpoint:
    """Of an environment that has been found for the actor."""
    rows = endpoints(actor).select_related("model", "environment").filter(environment=place)
    sentence = f"There is no endpoint {name[:60]!r} in {place.name}."
    return _one(rows.filter(model__name=name), sentence, "endpoint")


def key_for(actor: Actor, public_id: str) -> EndpointKey:
    rows = keys(actor).select_related("environment", "created_by", "rotated_to")
    return _by_id(rows, public_id, EndpointKey.PREFIX, "key")


def rollout_for(actor: Actor, public_id: str) -> Rollout:
    rows = rollouts(actor).select_related("endpoint__model", "endpoint__environment")
    return _by_id(rows, public_id, Rollout.PREFIX, "rollout")


def release_for(actor: Actor, public_id: str) -> Release:
    rows = releases(actor).select_related("endpoint__model", "version__artifact")
    return _by_id(rows, public_id, Release.PREFIX, "release")


def image_for(actor: Actor, public_id: str) -> Image:
    return _by_id(images(actor), public_id, Image.PREFIX, "image")


def build_for(actor: Actor, public_id: str) -> Build:
    return _by_id(builds(actor), public_id, Build.PREFIX, "build")


def operation_for(actor: Actor, public_id: str) -> Operation:
    return _by_id(operations(actor), public_id, Operation.PREFIX, "operation")


def _of_endpoints(actor: Actor, action: str, rows: QuerySet[R], path: str) -> QuerySet[R]:
    return authorize.visible(
        actor,
        action,
        rows,
        team_path=f"{path}model__team_id",
        environment_path=f"{path}environment_id",
        model_path=f"{path}model_id",
    )


def _by_id(rows: QuerySet[R], public_id: str, prefix: str, kind: str) -> R:
    sentence = f"There is no {kind} {public_id[:60]!r}."
    try:
        ulid = ids.parse(public_id, prefix)
    except NotFound:
        raise NotFound(sentence, code=f"{kind}:not-found") from None
    return _one(rows.filter(pk=ulid), sentence, kind)


def _one(rows: QuerySet[R], sentence: str, kind: str) -> R:
    row = rows.first()
    if row is None:
        raise NotFound(sentence, code=f"{kind}:not-found")
    return row
