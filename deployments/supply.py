"""Queueing what is missing for the hosts of an environment to have an image.

Called inside the transaction that needs it: by whoever starts a rollout, by the worker that has
built the image, and by the sweep for hosts that came or lost something later.
"""

from __future__ import annotations

from datetime import timedelta

from core import clock, live
from deployments import wakeups
from deployments.domain import images as domain
from deployments.models import Build, Image, ImageCopy
from deployments.selectors import images as selectors

# How long a failed attempt keeps the sweep from trying again; a person's rollout need not wait.
GIVEN_UP_FOR = timedelta(minutes=10)


def supply(image: Image, environment_id: str, *, again: bool = False) -> list[Build]:
    """Queue builds and copies; those that were queued. `again`: also where one failed lately.

    The image's row is locked, so that of two who ask at once one queues.
    """
    Image.objects.select_for_update().get(pk=image.pk)
    places = _places(image, environment_id, again=again)
    wanted = domain.orders(
        places,
        _held(image),
        being_built=image.builds.filter(
            kind=Build.Kind.BUILD, state__in=Build.OPEN, failure__isnull=True
        ).exists(),
    )
    builds = [
        Build(image=image, host_id=order.host, kind=Build.Kind(order.work)) for order in wanted
    ]
    Build.objects.bulk_create(builds, ignore_conflicts=True)
    for build in builds:
        live.changed(f"build:{build.public_id}", build.revision)
        wakeups.wake_build(build.pk)
    return builds


def _held(image: Image) -> domain.Held:
    if selectors.reachable_copies(image.pk).exists():
        return domain.Held.REACHABLE
    somewhere = ImageCopy.objects.filter(image=image, host__removed_at__isnull=True).exists()
    return domain.Held.SILENT if somewhere else domain.Held.NOWHERE


def _places(image: Image, environment_id: str, *, again: bool) -> list[domain.Place]:
    hosts = selectors.docker_hosts(environment_id)
    copied = set(ImageCopy.objects.filter(image=image).values_list("host", flat=True))
    last = {build.host_id: build for build in image.builds.order_by("pk")}
    found = []
    for host in hosts:
        build = last.get(host.pk)
        found.append(
            domain.Place(
                host=host.pk,
                answers=selectors.answers(host),
                has_base=host.engine.get("base_id") == image.base_id,
                has_copy=host.pk in copied,
                busy=build is not None and build.state in Build.OPEN,
                gave_up=not again and build is not None and _gave_up(build),
            )
        )
    return found


def _gave_up(build: Build) -> bool:
    failed = build.state == Build.State.FAILED and build.ended_at is not None
    return failed and clock.now() - (build.ended_at or clock.now()) < GIVEN_UP_FOR
