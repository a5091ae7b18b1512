"""Removing images that nothing needs any more from the hosts that hold them.

Only images with this Slipway's ownership label are looked at, whatever else is on a host. What is
live, coming, running or used by anybody's container stays, and so do the newest few of each
endpoint. An image that cannot be removed is a warning, and nothing else depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import transaction

from core import ids
from core.errors import ControlPlaneError, NotFound
from core.redact import redact
from deployments.adapters import database, hosts
from deployments.domain import images as domain
from deployments.domain.images import Needs, Stored
from deployments.models import Host, Image, ImageCopy
from deployments.ports import ImageStore, StoredImage
from deployments.selectors import images as selectors
from deployments.selectors import subjects
from governance import audit
from governance.domain.access import SYSTEM, Actor

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Removal:
    """One image on one host that nothing needs. `image`, `model` and `version` are empty where no
    row knows it any more. `removed` is False in a dry run, and where `warning` says why not."""

    host: str
    environment: str
    image: str
    model: str
    version: int | None
    engine_id: str
    size: int
    removed: bool
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was found on one host; `problem` when it could not be asked."""

    host: str
    environment: str
    kept: int
    removals: tuple[Removal, ...]
    problem: str = ""


def clean(actor: Actor, wanted: Iterable[Host], *, dry_run: bool) -> list[Cleaned]:
    """Host after host; records what was removed. Needs `host.environment`."""
    return [_clean(actor, host, dry_run=dry_run) for host in wanted]


def make_room(host: Host) -> None:
    """Before another attempt on a host whose disk is full. Never fails."""
    try:
        clean(SYSTEM, [host], dry_run=False)
    except ControlPlaneError as problem:
        log.warning("no_room_made", host=host.name, problem=problem.detail)


def _clean(actor: Actor, host: Host, *, dry_run: bool) -> Cleaned:
    database.let_go()
    try:
        store = hosts.image_store(host)
        stored = store.ours()
    except ControlPlaneError as problem:
        return Cleaned(host.name, host.environment.name, 0, (), redact(problem.detail))
    rows = _rows(host, stored)
    going = {each.engine_id for each in domain.garbage(_held(stored, rows), _keep())}
    removals = []
    for each in stored:
        if each.engine_id in going:
            image = rows.get(each.engine_id)
            warning = "" if dry_run else _remove(store, host, each, image)
            removals.append(_removal(host, each, image, not dry_run and not warning, warning))
    if any(removal.removed or removal.warning for removal in removals):
        _record(actor, host, removals)
    return Cleaned(host.name, host.environment.name, len(stored) - len(removals), tuple(removals))


def _keep() -> int:
    return settings.CONFIG.keep_images


def _rows(host: Host, stored: Iterable[StoredImage]) -> dict[str, Image]:
    """By what Engines call them: the host's own id, or the row that the label names."""
    copies = ImageCopy.objects.filter(host=host).select_related("image__version__model")
    found = {copy.engine_id: copy.image for copy in copies if copy.engine_id}
    named = {each.engine_id: _key(each.image) for each in stored if each.engine_id not in found}
    rows = Image.objects.select_related("version__model").in_bulk(
        [key for key in named.values() if key]
    )
    return found | {engine_id: rows[key] for engine_id, key in named.items() if key in rows}


def _key(label: str) -> str:
    try:
        return ids.parse(label, Image.PREFIX)
    except NotFound:
        return ""


def _held(stored: Iterable[StoredImage], rows: Mapping[str, Image]) -> list[Stored]:
    needs = selectors.needs()
    endpoints = selectors.endpoints_of([image.pk for image in rows.values()])
    held = []
    for each in stored:
        image = rows.get(each.engine_id)
        made = (image.built_at or image.created_at).timestamp() if image else 0.0
        held.append(
            Stored(
                engine_id=each.engine_id,
                made=made,
                endpoints=endpoints.get(image.pk, frozenset()) if image else frozenset(),
                needed=_why(each, image, needs),
            )
        )
    return held


def _why(stored: StoredImage, image: Image | None, needs: Needs) -> str:
    if stored.in_use:
        return "a container was made of it"
    return needs.why(image.pk) if image else ""


def _remove(store: ImageStore, host: Host, stored: StoredImage, image: Image | None) -> str:
    """A warning, or nothing. The copy's row goes first, so that nobody starts a replica with it,
    and once more after: a worker may have found the image meanwhile."""
    copies = ImageCopy.objects.filter(host=host, image=image) if image else None
    if copies is not None:
        copies.delete()
    try:
        store.remove_image(stored.engine_id)
    except ControlPlaneError as problem:
        warning = redact(problem.detail)
        log.warning("image_not_removed", host=host.name, image=stored.image, problem=warning)
        if image is not None:
            ImageCopy.objects.update_or_create(
                image=image,
                host=host,
                defaults={"engine_id": stored.engine_id, "warning": warning},
            )
        return warning
    if copies is not None:
        copies.all().delete()
    return ""


def _removal(
    host: Host, stored: StoredImage, image: Image | None, removed: bool, warning: str
) -> Removal:
    return Removal(
        host=host.name,
        environment=host.environment.name,
        image=image.public_id if image else "",
        model=image.version.model.name if image else "",
        version=image.version.number if image else None,
        engine_id=stored.engine_id,
        size=stored.size,
        removed=removed,
        warning=warning,
    )


def _record(actor: Actor, host: Host, removals: Iterable[Removal]) -> None:
    with transaction.atomic():
        audit.record(
            actor,
            "image.collect",
            subjects.of_host(host),
            host=host.name,
            removed=[each.engine_id for each in removals if each.removed],
            not_removed={each.engine_id: each.warning for each in removals if each.warning},
        )
