"""Removing what nothing needs any more, when a person or the clock asks for it."""

from __future__ import annotations

from core.errors import NotAllowed
from deployments import cleaning
from deployments.cleaning import Cleaned
from deployments.models import Host
from deployments.selectors import gate, subjects
from governance import authorize
from governance.domain.access import Actor


def collect(
    *, actor: Actor, environment: str | None = None, dry_run: bool = False
) -> list[Cleaned]:
    """Remove images that nothing needs from the Docker hosts of one environment, or of all in
    which the actor may; a dry run only says which.

    Raises:
        NotFound: the environment.
        NotAllowed: they may nowhere, or not there.
    """
    places = gate.environments(actor).order_by("name")
    if environment is not None:
        place = gate.environment_for(actor, environment)
        authorize.require(actor, "image.collect", subjects.of_environment(place))
        places = places.filter(pk=place.pk)
    allowed = [
        place
        for place in places
        if authorize.verdict(actor, "image.collect", subjects.of_environment(place))
    ]
    if places and not allowed:
        raise NotAllowed("You may not remove images in any environment.")
    hosts = Host.objects.filter(
        environment__in=allowed, kind=Host.Kind.DOCKER, removed_at__isnull=True
    )
    wanted = hosts.select_related("environment").order_by("environment__name", "name")
    return cleaning.clean(actor, list(wanted), dry_run=dry_run)
