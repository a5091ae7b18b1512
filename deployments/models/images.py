"""Images, the builds that make them, and the hosts that have them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from core.fields import Identified
from deployments.models.fleet import Host
from deployments.models.registry import Version


class Image(Identified):
    """A version in a container image.

    `digest` names what goes into it (base image, stored artifact, version manifest): known before
    it is built, equal for equal inputs, and part of every release's digest. `engine_id` is what
    Docker calls the result; empty until it is built.
    """

    PREFIX: ClassVar[str] = "img"

    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="images")
    digest = models.CharField(max_length=71, unique=True)
    base_reference = models.CharField(max_length=300)
    base_id = models.CharField(max_length=71)
    engine_id = models.CharField(max_length=71, blank=True)
    # In the registry, if one is configured: `repository@sha256:…`.
    registry_reference = models.CharField(max_length=400, blank=True)
    size = models.PositiveBigIntegerField(default=0)  # on an Engine, with all layers
    built_at = models.DateTimeField(null=True, blank=True)


class Build(Identified):
    """One piece of work of the build queue: making an image on a host, or bringing it to one.

    A worker holds it while `heartbeat_at` is fresh; after that another takes it over. `token`
    names the holder, so that one who comes back too late writes nothing.
    """

    PREFIX: ClassVar[str] = "bld"

    class Kind(models.TextChoices):
        BUILD = "build"
        COPY = "copy"

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"

    OPEN: ClassVar = (State.QUEUED, State.RUNNING)

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="builds")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    host = models.ForeignKey(Host, on_delete=models.PROTECT, related_name="builds")
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(null=True, blank=True)
    token = models.CharField(max_length=32, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    # Of the last attempt, if it failed: a code, a sentence, evidence.
    failure = models.JSONField(null=True, blank=True)
    log = models.TextField(blank=True)
    revision = models.PositiveBigIntegerField(default=1)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["image", "host"],
                condition=models.Q(state__in=("queued", "running")),
                name="one_open_build_per_image_and_host",
            )
        ]
        indexes: ClassVar = [models.Index(fields=["state"], name="build_state")]


class ImageCopy(models.Model):
    """A host that is known to have an image, under the id that its own Engine gives it: Engines
    with different stores call the same image differently. `warning` says why it could not be
    removed when nothing needed it any more."""

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="copies")
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="images")
    engine_id = models.CharField(max_length=71, blank=True)
    warning = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["image", "host"], name="one_copy_per_image_and_host")
        ]

    def __str__(self) -> str:
        return f"{self.image_id} on {self.host_id}"
