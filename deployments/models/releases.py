"""Endpoints and the releases that they serve."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from core.fields import Identified, Revised
from deployments.models.fleet import Environment
from deployments.models.registry import Model, Version


class Endpoint(Revised):
    """One model in one environment: a stable address. Its name is the model's."""

    PREFIX: ClassVar[str] = "end"

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="endpoints")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="endpoints")
    # Always the last promoted release. Only the reconcile loop moves it.
    stable_release = models.ForeignKey(
        "Release", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    replicas = models.PositiveSmallIntegerField(default=1)
    # Declared on purpose: inferences need no key.
    is_open = models.BooleanField(default=False)
    last_rollout_number = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["model", "environment"], name="one_endpoint_per_model_and_environment"
            )
        ]


class Release(Identified):
    """Immutable: version, image and serving configuration under one hash."""

    PREFIX: ClassVar[str] = "rel"

    endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="releases")
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="releases")
    # What its replicas run in containers; none on process hosts.
    image = models.ForeignKey(
        "Image", on_delete=models.PROTECT, null=True, blank=True, related_name="releases"
    )
    config = models.JSONField()
    digest = models.CharField(max_length=71)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["endpoint", "digest"], name="one_release_per_digest")
        ]
