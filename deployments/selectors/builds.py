"""Reading images and the builds that made them or brought them to hosts."""

from __future__ import annotations

from django.db.models import QuerySet

from deployments.models import Build, Image
from deployments.selectors import gate
from deployments.selectors.cards import ReasonRow
from deployments.selectors.image_cards import BuildLogRow, BuildRow, HolderRow, ImageRow
from deployments.selectors.images import doing
from governance.domain.access import Actor


def image(actor: Actor, image_id: str) -> ImageRow:
    """Raises NotFound."""
    return image_row(image_rows(actor).get(pk=gate.image_for(actor, image_id).pk))


def build(actor: Actor, build_id: str) -> BuildRow:
    """Raises NotFound."""
    return build_row(build_rows(actor).get(pk=gate.build_for(actor, build_id).pk))


def log(actor: Actor, build_id: str) -> BuildLogRow:
    """Raises NotFound."""
    row = gate.build_for(actor, build_id)
    return BuildLogRow(row.public_id, row.state, row.state not in Build.OPEN, row.log)


def of_version(actor: Actor, model: str, number: int) -> list[ImageRow]:
    """The newest first."""
    rows = image_rows(actor).filter(version__model__name=model, version__number=number)
    return [image_row(row) for row in rows.order_by("-created_at", "-pk")[:20]]


def of_model(actor: Actor, model: str) -> dict[int, ImageRow]:
    """By version's number, the newest image of each."""
    rows = image_rows(actor).filter(version__model__name=model)
    return {row.version.number: image_row(row) for row in rows.order_by("created_at", "pk")}


def image_rows(actor: Actor) -> QuerySet[Image]:
    """With all that a row shows, in a number of queries that does not depend on the rows'."""
    return (
        gate.images(actor)
        .select_related("version__model")
        .prefetch_related("copies__host__environment", "builds")
    )


def build_rows(actor: Actor) -> QuerySet[Build]:
    return gate.builds(actor).select_related("image__version__model", "host__environment")


def image_row(row: Image) -> ImageRow:
    builds = sorted(row.builds.all(), key=lambda each: each.pk)
    copies = [copy for copy in row.copies.all() if copy.host.removed_at is None]
    return ImageRow(
        id=row.public_id,
        model=row.version.model.name,
        version=row.version.number,
        digest=row.digest,
        base=row.base_reference,
        base_id=row.base_id,
        registry_reference=row.registry_reference,
        state=_state(row, builds, has_copies=bool(copies)),
        size=row.size,
        hosts=tuple(
            HolderRow(copy.host.name, copy.host.environment.name, copy.engine_id, copy.warning)
            for copy in sorted(copies, key=lambda copy: copy.pk)
        ),
        build=builds[-1].public_id if builds else None,
        built_at=row.built_at,
        created_at=row.created_at,
    )


def build_row(row: Build) -> BuildRow:
    failure = row.failure or {}
    return BuildRow(
        id=row.public_id,
        image=row.image.public_id,
        model=row.image.version.model.name,
        version=row.image.version.number,
        kind=row.kind,
        host=row.host.name,
        environment=row.host.environment.name,
        state=row.state,
        sentence=_sentence(row),
        attempts=row.attempts,
        failure=ReasonRow(
            str(failure.get("code", "")),
            str(failure.get("message", "")),
            failure.get("evidence") or {},
        )
        if failure
        else None,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        revision=row.revision,
    )


def _state(row: Image, builds: list[Build], *, has_copies: bool) -> str:
    if has_copies:
        return "ready"
    if builds and builds[-1].state in (*Build.OPEN, Build.State.FAILED):
        return builds[-1].state
    return "gone" if row.built_at else "queued"


def _sentence(row: Build) -> str:
    if row.state in Build.OPEN:
        return doing(row)
    if row.state == Build.State.FAILED:
        return str((row.failure or {}).get("message") or "It failed.")
    done = "Built on" if row.kind == Build.Kind.BUILD else "Brought to"
    return f"{done} the host {row.host.name}."
