"""Images and their builds: how an image came to be, and where it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from deployments.selectors.cards import ReasonRow
from deployments.selectors.image_cards import BuildLogRow, BuildRow, HolderRow, ImageRow
from frontend import topics
from frontend.addresses import model_url
from frontend.words import Badge, badge_of, duration_words


@dataclass(frozen=True, slots=True)
class ImageCard:
    """`build_url` is empty while nothing was done for it."""

    id: str
    digest: str
    badge: Badge
    size: int
    base: str
    hosts: tuple[HolderRow, ...]
    build_url: str


@dataclass(frozen=True, slots=True)
class BuildCard:
    id: str
    topic: str
    url: str
    partial_url: str
    title: str
    model: str
    model_url: str
    badge: Badge
    sentence: str
    is_over: bool
    facts: tuple[tuple[str, str], ...]
    created_at: datetime
    failure: ReasonRow | None
    log: str


def image(row: ImageRow) -> ImageCard:
    return ImageCard(
        id=row.id,
        digest=row.digest,
        badge=badge_of(row.state),
        size=row.size,
        base=row.base,
        hosts=row.hosts,
        build_url=build_url(row.build),
    )


def build(row: BuildRow, log: BuildLogRow) -> BuildCard:
    verb = "Building" if row.kind == "build" else "Bringing"
    return BuildCard(
        id=row.id,
        topic=topics.of_build(row.id),
        url=build_url(row.id),
        partial_url=reverse("build-region", args=[row.id]),
        title=f"{verb} version {row.version} of {row.model}",
        model=row.model,
        model_url=f"{model_url(row.model)}#version-{row.version}",
        badge=badge_of(row.state),
        sentence=row.sentence,
        is_over=log.is_over,
        facts=_facts(row),
        created_at=row.created_at,
        failure=row.failure,
        log=log.text,
    )


def build_url(build_id: str | None) -> str:
    return reverse("build", args=[build_id]) if build_id else ""


def _facts(row: BuildRow) -> tuple[tuple[str, str], ...]:
    facts = [("Host", f"{row.host} in {row.environment}"), ("Attempts", str(row.attempts))]
    if row.started_at and row.ended_at:
        took = (row.ended_at - row.started_at).total_seconds()
        facts.append(("Took", duration_words(max(0.0, took))))
    return (*facts, ("Image", row.image))
