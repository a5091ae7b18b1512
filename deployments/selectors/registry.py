"""Reading models, versions and aliases."""

from __future__ import annotations

from django.db.models import Prefetch, QuerySet

from deployments.models import Alias, AliasMove, Endpoint, Model, Route, Version
from deployments.selectors import gate
from deployments.selectors.cards import (
    AliasMoveRow,
    AliasRow,
    ArtifactRow,
    ModelRow,
    Running,
    VersionRow,
)
from governance.domain.access import Actor
from governance.models import User


def models(actor: Actor) -> list[ModelRow]:
    """All that the actor may see, by name."""
    return [model_row(model) for model in model_rows(actor).order_by("name")]


def model(actor: Actor, name: str) -> ModelRow:
    """Raises NotFound."""
    gate.model_for(actor, name)
    return model_row(model_rows(actor).get(name=name))


def versions(actor: Actor, model_name: str) -> list[VersionRow]:
    """The newest first. Raises NotFound."""
    found = version_rows(gate.model_for(actor, model_name)).order_by("-number")
    return [version_row(version) for version in found]


def version(actor: Actor, model_name: str, number: int) -> VersionRow:
    """Raises NotFound."""
    owner = gate.model_for(actor, model_name)
    gate.version_for(owner, number)
    return version_row(version_rows(owner).get(number=number))


def aliases(actor: Actor, model_name: str) -> list[AliasRow]:
    """Raises NotFound."""
    return [alias_row(alias) for alias in alias_rows(actor, model_name).order_by("name")]


def alias(actor: Actor, model_name: str, name: str) -> AliasRow:
    """Raises NotFound."""
    return alias_row(gate.alias_for(gate.model_for(actor, model_name), name))


# What the API pages through: a query that loads all that a row shows, and the row.


def model_rows(actor: Actor) -> QuerySet[Model]:
    return (
        gate.models(actor)
        .select_related("team")
        .prefetch_related(
            Prefetch("aliases", Alias.objects.select_related("version")),
            Prefetch("endpoints", _endpoints_with_traffic()),
        )
    )


def model_row(model: Model) -> ModelRow:
    return ModelRow(
        id=model.public_id,
        name=model.name,
        team=model.team.name,
        task=model.task,
        risk_tier=model.risk_tier,
        description=model.description,
        latest_version=model.last_number or None,
        aliases={alias.name: alias.version.number for alias in model.aliases.all()},
        running=tuple(
            Running(endpoint.environment.name, route.release.version.number)
            for endpoint in model.endpoints.all()
            for route in endpoint.routes.all()
        ),
        created_at=model.created_at,
        revision=model.revision,
    )


def version_rows(model: Model) -> QuerySet[Version]:
    return (
        Version.objects.filter(model=model)
        .select_related("artifact", "model", "created_by")
        .prefetch_related("aliases", Prefetch("model__endpoints", _endpoints_with_traffic()))
    )


def version_row(version: Version) -> VersionRow:
    return VersionRow(
        id=version.public_id,
        model=version.model.name,
        number=version.number,
        artifact=ArtifactRow(version.artifact.digest, version.artifact.size),
        signature=version.signature,
        allow_nonfinite=version.allow_nonfinite,
        sample=version.sample,
        intake=version.intake,
        metadata=version.metadata,
        description=version.description,
        aliases=tuple(sorted(alias.name for alias in version.aliases.all())),
        running=tuple(
            endpoint.environment.name
            for endpoint in version.model.endpoints.all()
            for route in endpoint.routes.all()
            if route.release.version_id == version.pk
        ),
        created_by=shown(version.created_by),
        created_at=version.created_at,
    )


def alias_rows(actor: Actor, model_name: str) -> QuerySet[Alias]:
    """Raises NotFound for the model."""
    owner = gate.model_for(actor, model_name)
    return Alias.objects.filter(model=owner).select_related("version", "model")


def alias_row(alias: Alias) -> AliasRow:
    return AliasRow(alias.name, alias.model.name, alias.version.number, alias.revision)


def move_rows(actor: Actor, model_name: str, alias: str) -> QuerySet[AliasMove]:
    """Also of an alias that is no more. Raises NotFound for the model."""
    owner = gate.model_for(actor, model_name)
    return AliasMove.objects.filter(model=owner, name=alias).select_related(
        "from_version", "to_version", "moved_by"
    )


def moves(actor: Actor, model_name: str, *, limit: int = 100) -> list[AliasMoveRow]:
    """Of all aliases of a model, the newest first. Raises NotFound."""
    owner = gate.model_for(actor, model_name)
    rows = AliasMove.objects.filter(model=owner).order_by("-created_at", "-pk")
    return [
        move_row(move)
        for move in rows.select_related("from_version", "to_version", "moved_by")[:limit]
    ]


def move_row(move: AliasMove) -> AliasMoveRow:
    return AliasMoveRow(
        id=move.public_id,
        name=move.name,
        from_version=move.from_version.number if move.from_version else None,
        to_version=move.to_version.number if move.to_version else None,
        reason=move.reason,
        moved_by=shown(move.moved_by),
        moved_at=move.created_at,
    )


def shown(user: User | None) -> str:
    """What an account is called beside what it made; empty for Slipway itself and erased ones."""
    return user.shown_name if user else ""


def _endpoints_with_traffic() -> QuerySet[Endpoint]:
    """With the routes that get some: what answers is what is live, also while a release bakes and
    the endpoint's stable release is still another."""
    answering = Route.objects.filter(percent__gt=0).select_related("release__version")
    return (
        Endpoint.objects.select_related("environment")
        .prefetch_related(Prefetch("routes", answering.order_by("-percent")))
        .order_by("environment__is_production", "environment__name")
    )
