"""The work itself: building an image, or bringing one to a host."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings

from core.errors import Broken, ControlPlaneError
from core.redact import redact
from deployments import cleaning
from deployments.adapters import (
    artifact_store,
    database,
    hosts,
    image_context,
    version_manifests,
)
from deployments.domain import images as domain
from deployments.models import Build, Image, ImageCopy
from deployments.ports import HostRefused, HostSilent, ImageMissing, ImageStore
from deployments.reconcile import builds
from deployments.reconcile.builds import Made, Trouble
from deployments.reconcile.keeper import Keeper, OutOfTime, TakenOver
from deployments.selectors import images as selectors

log = structlog.get_logger(__name__)

_EVIDENCE_LINES = 30
_PROGRESS_SECONDS = 5.0
_DISK_FULL = "no space left on device"


def work(build_id: str) -> None:
    """Do what this build is, unless somebody does it already. Every end is written down."""
    build = builds.claim(build_id)
    if build is None:
        return
    if build.host.removed_at is not None:
        gone = Trouble("build:not-needed", "The host was removed.", again=False)
        builds.failed(build, gone, build.log)
        return
    keeper = Keeper(build)
    made, trouble = None, None
    with keeper:
        try:
            keeper.say(f"Attempt {build.attempts}, on the host {build.host.name}.")
            made = _bring(build, keeper) if build.kind == Build.Kind.COPY else _make(build, keeper)
        except TakenOver:
            log.warning("build_taken_over", build=build.public_id)
            return
        except Exception as problem:  # noqa: BLE001 - whatever it is, it is an end that people see
            trouble = _trouble(build, problem, keeper)
    if made is not None:
        builds.succeeded(build, made, keeper.text)
    elif trouble is not None:
        if trouble.code == "build:disk-full":
            cleaning.make_room(build.host)
        builds.failed(build, trouble, keeper.text)


# --- building ------------------------------------------------------------------------------------


def _make(build: Build, keeper: Keeper) -> Made:
    image = build.image
    store = hosts.image_store(build.host)
    tag = domain.tag_of(image.version.model.name, image.digest)
    engine_id = store.id_of(tag)
    if engine_id:
        keeper.say("The host has this image already.")
    else:
        if not store.id_of(image.base_id):
            raise _BaseGone(image)
        engine_id = _build(build, store, tag, keeper)
    reference = image.registry_reference
    if settings.CONFIG.registry and not reference:
        reference = _push(store, image, engine_id, keeper)
    return Made(engine_id, _size(store, engine_id), reference, built=True)


def _build(build: Build, store: ImageStore, tag: str, keeper: Keeper) -> str:
    version = build.image.version
    with artifact_store.ciphertext(version.artifact_id) as artifact:
        # Read again: encrypting it, if that was left to do, has changed the row.
        version.artifact = artifact_store.encrypted(version.artifact_id)
        manifest = version_manifests.signed(version)
        size = artifact.seek(0, 2)
        artifact.seek(0)
        database.let_go()
        keeper.say(f"Sending {_megabytes(size)} to the Engine.")
        context = image_context.stream(
            base=build.image.base_id, artifact=artifact, artifact_size=size, manifest=manifest
        )
        began = time.monotonic()
        running = store.build(
            _watched(context, keeper, "sent"), tag=tag, labels=_labels(build.image)
        )
        for line in running:
            keeper.say(line)
        engine_id = running.result()
    keeper.say(f"Built {engine_id} in {time.monotonic() - began:.1f} s.")
    return engine_id


def _labels(image: Image) -> dict[str, str]:
    version = image.version
    return {
        "org.opencontainers.image.title": version.model.name,
        "org.opencontainers.image.version": str(version.number),
        "org.opencontainers.image.revision": version.artifact_id,
        "org.opencontainers.image.description": f"Version {version.number} of the model"
        f" {version.model.name}, encrypted, and the server that serves it",
        "org.opencontainers.image.base.name": image.base_reference,
        "org.opencontainers.image.base.digest": image.base_id,
        "slipway.image": image.public_id,
        "slipway.model": version.model.name,
        "slipway.version": str(version.number),
        "slipway.digest": image.digest,
    }


# --- bringing it elsewhere -----------------------------------------------------------------------


def _bring(build: Build, keeper: Keeper) -> Made:
    image = build.image
    target = hosts.image_store(build.host)
    tag = domain.tag_of(image.version.model.name, image.digest)
    engine_id = target.id_of(tag)
    if engine_id:
        keeper.say("The host has this image already.")
        return Made(engine_id, _size(target, engine_id))
    if not image.copies.filter(host__removed_at__isnull=True).exists():
        keeper.say("No host has the image any more: building it here.")
        return _make(build, keeper)
    copy = selectors.reachable_copies(image.pk).exclude(host=build.host).first()
    if copy is None:
        raise HostSilent("No host that has the image answers.")
    try:
        if settings.CONFIG.registry:
            return _through_registry(image, copy, target, keeper)
        return _streamed(copy, target, tag, keeper)
    except ImageMissing:
        if not hosts.image_store(copy.host).id_of(copy.engine_id):
            copy.delete()
        raise


def _streamed(copy: ImageCopy, target: ImageStore, tag: str, keeper: Keeper) -> Made:
    source = hosts.image_store(copy.host)
    # By its name, so that it has one where it arrives.
    name = tag if source.id_of(tag) else copy.engine_id
    keeper.say(f"Streaming it from the host {copy.host.name}.")
    database.let_go()
    target.load(_watched(source.save(name), keeper, "streamed"))
    engine_id = target.id_of(tag) or target.id_of(copy.engine_id)
    if not engine_id:
        raise HostRefused("The Engine took the image in and does not have it.")
    keeper.say(f"It is there: {engine_id}.")
    return Made(engine_id, _size(target, engine_id))


def _through_registry(image: Image, copy: ImageCopy, target: ImageStore, keeper: Keeper) -> Made:
    reference = image.registry_reference
    if not reference:
        source = hosts.image_store(copy.host)
        reference = _push(source, image, copy.engine_id, keeper)
    keeper.say(f"Pulling {reference}.")
    database.let_go()
    target.pull(reference)
    engine_id = target.id_of(reference)
    if not engine_id:
        raise HostRefused("The Engine pulled the image and does not have it.")
    keeper.say(f"It is there: {engine_id}.")
    return Made(engine_id, _size(target, engine_id), reference)


def _push(store: ImageStore, image: Image, engine_id: str, keeper: Keeper) -> str:
    repository = domain.repository_of(settings.CONFIG.registry, image.version.model.name)
    keeper.say(f"Pushing it to {repository}.")
    database.let_go()
    reference = store.push(engine_id, repository)
    keeper.say(f"Pushed as {reference}.")
    return reference


def _size(store: ImageStore, engine_id: str) -> int:
    return next((each.size for each in store.ours() if each.engine_id == engine_id), 0)


def _watched(stream: Iterable[bytes], keeper: Keeper, verb: str) -> Iterator[bytes]:
    """Stops when the work may not go on; says now and then how far it is."""
    total, said = 0, time.monotonic()
    for chunk in stream:
        keeper.check()
        yield chunk
        total += len(chunk)
        if time.monotonic() - said > _PROGRESS_SECONDS:
            said = time.monotonic()
            keeper.say(f"… {_megabytes(total)} {verb}.")


def _megabytes(size: int) -> str:
    return f"{size / 1024**2:.1f} MiB"


# --- when it fails -------------------------------------------------------------------------------


class _BaseGone(Exception):
    def __init__(self, image: Image) -> None:
        super().__init__(
            f"the base image that it is built on, {image.base_reference} as {image.base_id}, is"
            " no longer there. A new rollout uses the base that is there now."
        )


def _trouble(build: Build, problem: Exception, keeper: Keeper) -> Trouble:
    """What people are told, and whether another attempt makes sense."""
    doing = "built" if build.kind == Build.Kind.BUILD else "brought there"
    where = f"The image could not be {doing}, host {build.host.name}"
    detail = redact(getattr(problem, "detail", "") or str(problem))
    trouble = _judged(problem, where, detail)
    log.warning("build_attempt_failed", build=build.public_id, problem=repr(problem))
    with suppress(TakenOver, OutOfTime):  # it is said all the same
        keeper.say(f"{trouble.message} ({trouble.code})")
    evidence = {
        "code": trouble.code,
        "attempts": build.attempts,
        "build_log": keeper.tail(_EVIDENCE_LINES),
    }
    return Trouble(trouble.code, trouble.message, trouble.again, trouble.counts, evidence)


def _judged(problem: Exception, where: str, detail: str) -> Trouble:
    match problem:
        case HostSilent():
            return Trouble("host:silent", f"{where}: {detail}", counts=False)
        case OutOfTime() | SoftTimeLimitExceeded():
            limit = settings.CONFIG.build_seconds
            return Trouble("build:timeout", f"{where}: it took longer than {limit:g} s.")
        case HostRefused() if _DISK_FULL in detail.lower():
            return Trouble("build:disk-full", f"{where}: its disk is full. {detail}")
        case HostRefused():
            return Trouble("build:refused", f"{where}: {detail}")
        case _BaseGone():
            return Trouble("build:base-gone", f"{where}: {detail}", again=False)
        case Broken():
            return Trouble(problem.stable_code, f"{where}: {detail}", again=False)
        case ControlPlaneError():
            return Trouble(problem.stable_code, f"{where}: {detail}")
    return Trouble("build:failed", f"{where}: {type(problem).__name__}: {detail}")
