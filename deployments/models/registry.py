"""Models, their immutable versions, and the aliases that move between them."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from core import clock
from core.fields import Identified, Revised
from governance.models import Team


class Model(Revised):
    """A named line of versions. Its name is part of addresses and never changes."""

    PREFIX: ClassVar[str] = "mdl"

    class Task(models.TextChoices):
        CLASSIFICATION = "classification"
        REGRESSION = "regression"
        OTHER = "other"

    class RiskTier(models.TextChoices):
        LOW = "low"
        MEDIUM = "medium"
        HIGH = "high"

    name = models.SlugField(max_length=60, unique=True)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="models")
    task = models.CharField(max_length=16, choices=Task.choices, default=Task.OTHER)
    risk_tier = models.CharField(max_length=8, choices=RiskTier.choices, default=RiskTier.MEDIUM)
    description = models.TextField(blank=True)
    # The next version takes this number by a conditional UPDATE, so that none is given twice.
    last_number = models.PositiveIntegerField(default=0)


class Artifact(models.Model):
    """A stored file, named by the SHA-256 of its bytes. Two versions may share one."""

    # Of the plain bytes; what is stored is their ciphertext, by a key of its own that is wrapped
    # by the control plane's (`core.keys`).
    digest = models.CharField(primary_key=True, max_length=71)
    size = models.PositiveBigIntegerField()
    stored_digest = models.CharField(max_length=71, blank=True)
    wrapped_key = models.CharField(max_length=200, blank=True)
    storage_name = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    def __str__(self) -> str:
        return self.digest


class Version(Identified):
    """What was registered, for ever as it was. Numbered per model from 1."""

    PREFIX: ClassVar[str] = "ver"

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="versions")
    signature = models.JSONField()
    allow_nonfinite = models.BooleanField(default=False)
    # One inference request that intake ran; smoke inferences send it again.
    sample = models.JSONField()
    intake = models.JSONField(default=dict)
    metadata = models.JSONField(default=dict)
    description = models.TextField(blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["model", "number"], name="one_version_per_number")
        ]


class Alias(Revised):
    """A movable name for a version, such as `champion`."""

    PREFIX: ClassVar[str] = "als"

    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="aliases")
    name = models.SlugField(max_length=60)
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="aliases")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["model", "name"], name="one_alias_per_name")
        ]


class AliasMove(Identified):
    """One move of an alias: from where, to where (null: removed), by whom, why."""

    PREFIX: ClassVar[str] = "mov"

    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="alias_moves")
    name = models.SlugField(max_length=60)
    from_version = models.ForeignKey(Version, on_delete=models.PROTECT, null=True, related_name="+")
    to_version = models.ForeignKey(Version, on_delete=models.PROTECT, null=True, related_name="+")
    moved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    reason = models.TextField(blank=True)
