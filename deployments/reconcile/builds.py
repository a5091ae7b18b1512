"""Who works on which build: taking one, ending it, finding those that nobody works on.

A build is a row that workers take by a conditional UPDATE and hold by a sign of life. A message is
only a hint to look at the row, so a message that comes twice, late or not at all does no harm.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from core import clock, live
from deployments import supply, wakeups
from deployments.domain import images as domain
from deployments.models import Build, Host, Image, ImageCopy
from deployments.reconcile.keeper import held
from deployments.selectors import images as selectors
from deployments.selectors import subjects
from governance import audit
from governance.domain.access import SYSTEM

log = structlog.get_logger(__name__)

# So many signs of life may be missed before a worker counts as dead.
_MISSED = 6
# After how long a host that was silent is asked again.
_SILENT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Made:
    """What came of it: the Engine's id of the image, its size, and where it lies in the registry,
    if there is one. `built` says that it was made here, and not brought."""

    engine_id: str
    size: int
    reference: str = ""
    built: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an attempt failed. `again`: another one may do better. `counts`: it uses one attempt up;
    a host that is silent may be so for as long as somebody waits for the image."""

    code: str
    message: str
    again: bool = True
    counts: bool = True
    evidence: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "evidence": self.evidence}


def claim(build_id: str) -> Build | None:
    """The build, now this worker's; None when there is nothing to do about it, or somebody else
    does it, or as many run as may."""
    moment = clock.now()
    row = _due(moment).filter(pk=build_id).first()
    if row is None or _slots() <= 0:
        return None
    if row.attempts >= settings.CONFIG.build_attempts:
        _give_up(row)
        return None
    token = secrets.token_hex(16)
    won = (
        _due(moment)
        .filter(pk=row.pk, revision=row.revision)
        .update(
            state=Build.State.RUNNING,
            token=token,
            heartbeat_at=moment,
            started_at=Coalesce(F("started_at"), moment),
            attempts=F("attempts") + 1,
            revision=F("revision") + 1,
        )
    )
    if not won:
        return None
    taken = Build.objects.select_related("image__version__model", "host").get(pk=row.pk)
    live.changed(f"build:{taken.public_id}", taken.revision)
    wakeups.wake_image(taken.image_id)
    return taken if taken.token == token else None


def succeeded(build: Build, made: Made, text: str) -> bool:
    """Whether the result is now what holds; not if another worker has taken over."""
    with transaction.atomic():
        if not _end(build, Build.State.SUCCEEDED, failure=None, log=text):
            return False
        image = Image.objects.select_for_update().get(pk=build.image_id)
        if made.built:
            image.engine_id, image.built_at = made.engine_id, clock.now()
        image.size = made.size or image.size
        image.registry_reference = made.reference or image.registry_reference
        image.save()
        ImageCopy.objects.update_or_create(
            image=image,
            host_id=build.host_id,
            defaults={"engine_id": made.engine_id, "warning": ""},
        )
        # It has just answered, and what follows from here counts on that.
        Host.objects.filter(pk=build.host_id).update(last_contact_at=clock.now(), last_error="")
        _record(build, engine_id=made.engine_id, host=build.host.name)
        for environment_id in _environments(image, build.host):
            supply.supply(image, environment_id)
        wakeups.wake_image(image.pk)
    dispatch()
    return True


def failed(build: Build, trouble: Trouble, text: str) -> None:
    """Try again later, if that may help and somebody still waits; else it is over."""
    attempts = build.attempts if trouble.counts else build.attempts - 1
    needed = (build.image_id, build.host.environment_id) in selectors.wanted_places()
    again = trouble.again and needed and attempts < settings.CONFIG.build_attempts
    failure = trouble.to_json()
    log.warning("build_failed", build=build.public_id, code=trouble.code, again=again)
    with transaction.atomic():
        if again:
            seconds = domain.backoff_seconds(build.attempts) if trouble.counts else _SILENT_SECONDS
            wait = timedelta(seconds=seconds)
            host = _next_host(build) if not trouble.counts else build.host_id
            _queue_again(build, host, failure, text, attempts, clock.now() + wait)
        elif _end(build, Build.State.FAILED, failure=failure, log=text):
            _record(build, failed=trouble.code, reason=trouble.message, host=build.host.name)
        wakeups.wake_image(build.image_id)
    dispatch()


def sweep() -> None:
    """Find what nobody reported: builds without a worker, hosts without an image that is wanted
    there."""
    dispatch()
    for image_id, environment_id in _lacking():
        with transaction.atomic():
            supply.supply(Image.objects.get(pk=image_id), environment_id)


def dispatch() -> None:
    """Send for the builds that are due, oldest first, as many as may run."""
    due = _due(clock.now()).order_by("pk").values_list("pk", flat=True)
    for build_id in list(due[: max(0, _slots())]):
        wakeups.wake_build(build_id)


def _due(moment: Any) -> QuerySet[Build]:
    waiting = Q(state=Build.State.QUEUED) & (Q(not_before=None) | Q(not_before__lte=moment))
    silent_for = timedelta(seconds=_MISSED * settings.CONFIG.build_heartbeat_seconds)
    abandoned = Q(state=Build.State.RUNNING, heartbeat_at__lt=moment - silent_for)
    return Build.objects.filter(waiting | abandoned)


def _slots() -> int:
    """How many more may run. Two workers that ask at once may find one too many, which is why it
    is no promise to anybody."""
    silent_for = timedelta(seconds=_MISSED * settings.CONFIG.build_heartbeat_seconds)
    running = Build.objects.filter(
        state=Build.State.RUNNING, heartbeat_at__gte=clock.now() - silent_for
    )
    return settings.CONFIG.builds_at_once - running.count()


def _end(build: Build, state: Build.State, **new: Any) -> bool:
    won = held(build).update(state=state, ended_at=clock.now(), revision=F("revision") + 1, **new)
    if won:
        live.changed(f"build:{build.public_id}", 0)
    return bool(won)


def _queue_again(
    build: Build, host: str, failure: dict[str, Any], text: str, attempts: int, moment: Any
) -> None:
    def write(host_id: str) -> int:
        with transaction.atomic():
            return held(build).update(
                state=Build.State.QUEUED,
                host=host_id,
                failure=failure,
                log=text,
                attempts=attempts,
                not_before=moment,
                revision=F("revision") + 1,
            )

    try:
        won = write(host)
    except IntegrityError:  # something else began there meanwhile
        won = write(build.host_id)
    if won:
        live.changed(f"build:{build.public_id}", 0)


def _give_up(row: Build) -> None:
    """Whoever worked on it died each time: perhaps because of it."""
    trouble = Trouble(
        "build:worker-lost",
        f"The workers that were at it on the host {row.host.name} ended {row.attempts} times.",
    )
    with transaction.atomic():
        won = Build.objects.filter(pk=row.pk, revision=row.revision).update(
            state=Build.State.FAILED,
            ended_at=clock.now(),
            failure=trouble.to_json(),
            revision=F("revision") + 1,
        )
        if won:
            _record(row, failed=trouble.code, reason=trouble.message, host=row.host.name)
            live.changed(f"build:{row.public_id}", 0)
            wakeups.wake_image(row.image_id)


def _next_host(build: Build) -> str:
    if build.kind != Build.Kind.BUILD:
        return build.host_id
    places = [
        domain.Place(
            host=host.pk,
            answers=selectors.answers(host),
            has_base=host.engine.get("base_id") == build.image.base_id,
        )
        for host in selectors.docker_hosts(build.host.environment_id)
    ]
    return domain.next_builder(build.host_id, places)


def _environments(image: Image, host: Host) -> set[str]:
    """Where the image is wanted, the host's own environment among them."""
    wanted = {place for wanted, place in selectors.wanted_places() if wanted == image.pk}
    return wanted | {host.environment_id}


def _lacking() -> list[tuple[str, str]]:
    """What is wanted where, and is not on every host there."""
    copies = set(ImageCopy.objects.values_list("image", "host"))
    found = []
    for image_id, environment_id in sorted(selectors.wanted_places()):
        hosts = selectors.docker_hosts(environment_id).values_list("pk", flat=True)
        if any((image_id, host) not in copies for host in hosts):
            found.append((image_id, environment_id))
    return found


def _record(build: Build, **payload: Any) -> None:
    subject = subjects.of_image(build.image, build.host)
    audit.record(SYSTEM, f"image.{build.kind}", subject, build=build.public_id, **payload)
