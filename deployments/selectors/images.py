"""Where images stand: what the engine waits for, what hosts have, what is still needed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet

from core import clock
from deployments.domain.images import Needs
from deployments.domain.world import ImageState, ImageView
from deployments.models import (
    Build,
    Endpoint,
    Host,
    ImageCopy,
    Release,
    Replica,
    Rollout,
    Route,
)


def view(release_id: str) -> ImageView:
    """What the engine wants to know of a release's image. Ready means: a host of its environment
    has it, and it is on its way to no further one, or the way there has failed before."""
    release = Release.objects.select_related("image", "endpoint").get(pk=release_id)
    if release.image is None:
        return ImageView()
    hosts = docker_hosts(release.endpoint.environment_id)
    copied = ImageCopy.objects.filter(image=release.image, host__in=hosts).exists()
    builds = list(release.image.builds.select_related("host").order_by("pk"))
    making = [build for build in builds if build.state in Build.OPEN]
    if copied and not any(build.failure is None for build in making):
        return ImageView(ImageState.READY)
    if making:
        return ImageView(ImageState.WAITING, doing(making[0]))
    if not builds or builds[-1].state != Build.State.FAILED:
        return ImageView(ImageState.WAITING, "Waiting for the image to be built.")
    return _failed(builds[-1])


def _failed(build: Build) -> ImageView:
    failure = build.failure or {}
    return ImageView(
        ImageState.FAILED,
        str(failure.get("message", "The image could not be built.")),
        {"build": build.public_id, "host": build.host.name, **failure.get("evidence", {})},
    )


def doing(build: Build) -> str:
    """One sentence about an open build. Needs `build.host`."""
    host = build.host.name
    if build.failure is not None and build.state == Build.State.QUEUED:
        return f"Trying again soon: {build.failure.get('message', '')}"
    if build.kind == Build.Kind.COPY:
        return f"Bringing the image to the host {host}."
    if build.state == Build.State.QUEUED:
        return f"Waiting for a worker to build the image on the host {host}."
    return f"Building the image on the host {host}."


def docker_hosts(environment_id: str) -> QuerySet[Host]:
    """Those that take containers."""
    rows = Host.objects.filter(environment=environment_id, kind=Host.Kind.DOCKER)
    return rows.filter(removed_at__isnull=True).order_by("pk")


def answers(host: Host) -> bool:
    """Whether it has been heard from lately."""
    return host.last_contact_at is not None and host.last_contact_at >= _silent_since()


def reachable_copies(image_id: str) -> QuerySet[ImageCopy]:
    """From where it can be brought elsewhere."""
    return ImageCopy.objects.filter(
        image=image_id, host__removed_at__isnull=True, host__last_contact_at__gte=_silent_since()
    ).order_by("pk")


def wanted_places() -> set[tuple[str, str]]:
    """Which image is wanted in which environment: by what is stable, and by what shall be."""
    rows = Release.objects.filter(_stable() | _coming(), image__isnull=False)
    return set(rows.values_list("image", "endpoint__environment"))


def needs() -> Needs:
    """Why images must not be removed."""
    building = Build.objects.filter(state__in=Build.OPEN).values_list("image", flat=True)
    return Needs.of(
        [
            ("is live", _images(_stable())),
            ("a rollout needs it", _images(_coming())),
            ("gets traffic", _images(Q(pk__in=Route.objects.values("release")))),
            ("a replica runs it", _images(Q(pk__in=_with_replicas()))),
            ("is being built or brought to a host", set(building)),
        ]
    )


def endpoints_of(image_ids: Iterable[str]) -> dict[str, frozenset[str]]:
    """By image, every endpoint that ever had a release of it."""
    found: dict[str, set[str]] = {}
    rows = Release.objects.filter(image__in=list(image_ids)).values_list("image", "endpoint")
    for image, endpoint in rows:
        found.setdefault(str(image), set()).add(endpoint)
    return {image: frozenset(endpoints) for image, endpoints in found.items()}


def _stable() -> Q:
    endpoints = Endpoint.objects.filter(stable_release__isnull=False)
    return Q(pk__in=endpoints.values("stable_release"))


def _coming() -> Q:
    unfinished = Rollout.objects.exclude(phase="done")
    return Q(pk__in=unfinished.values("target_release")) | Q(
        pk__in=unfinished.filter(stable_release__isnull=False).values("stable_release")
    )


def _with_replicas() -> QuerySet[Replica, str]:
    return Replica.objects.filter(state__in=Replica.PRESENT).values_list("release", flat=True)


def _images(which: Q) -> set[str]:
    rows = Release.objects.filter(which, image__isnull=False)
    return set(rows.values_list("image", flat=True))


def _silent_since() -> datetime:
    return clock.now() - timedelta(seconds=settings.CONFIG.host_silence_seconds)
