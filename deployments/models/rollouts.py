"""Rollouts: what people want (spec), what was decided (status), and what was seen on the way."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from core import clock
from core.fields import Identified
from deployments.models.releases import Endpoint, Release


class Rollout(Identified):
    """Takes an endpoint from its stable release to a target.

    `spec` is written by services only and counted by `generation` (the ETag); `status` is written
    by the reconcile loop only and counted by `revision`. A commit of the loop is void when either
    has moved since it looked. `phase` and `outcome` repeat the status for queries and constraints.
    """

    PREFIX: ClassVar[str] = "rol"
    ACTIVE: ClassVar = ("provisioning", "stepping")

    class Kind(models.TextChoices):
        DEPLOY = "deploy"
        ROLLBACK = "rollback"

    endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="rollouts")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.DEPLOY)
    target_release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="rollouts")
    stable_release = models.ForeignKey(
        Release, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    strategy = models.JSONField()
    comment = models.TextField(blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )

    spec = models.JSONField()
    generation = models.PositiveBigIntegerField(default=1)

    status = models.JSONField()
    phase = models.CharField(max_length=14, db_index=True)
    outcome = models.CharField(max_length=10, blank=True)
    revision = models.PositiveBigIntegerField(default=1)

    # When the routes were last changed, and when every gateway was known to run them.
    switched_at = models.DateTimeField(null=True, blank=True)
    switch_acked_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    # When the loop should look again; `wakes` counts the calls to look now, so that one that
    # arrives during a pass is not lost.
    due_at = models.DateTimeField(null=True, default=clock.now, db_index=True)
    wakes = models.PositiveBigIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    last_problem = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["endpoint", "number"], name="one_rollout_per_number"),
            models.UniqueConstraint(
                fields=["endpoint"],
                condition=Q(phase__in=("provisioning", "stepping")),
                name="one_rollout_at_a_time",
            ),
            models.UniqueConstraint(
                fields=["endpoint"], condition=Q(phase="pending"), name="one_rollout_waiting"
            ),
        ]


class RolloutEvent(models.Model):
    """One line of a rollout's story, with what was measured at that moment."""

    rollout = models.ForeignKey(Rollout, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=clock.now)
    kind = models.CharField(max_length=30)
    message = models.TextField()
    evidence = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.rollout_id} {self.kind}"


class SmokeResult(models.Model):
    """One smoke inference: at a replica directly (`via` is `direct`) or through a gateway."""

    rollout = models.ForeignKey(Rollout, on_delete=models.CASCADE, related_name="smokes")
    via = models.CharField(max_length=40)
    # What the answer speaks about: a later generation or boot needs another inference.
    subject = models.CharField(max_length=120)
    ok = models.BooleanField()
    at = models.DateTimeField(default=clock.now)
    evidence = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.rollout_id} via {self.via}: {'ok' if self.ok else 'failed'}"


class Operation(Identified):
    """A long-running request as its sender follows it. Its state is the rollout's."""

    PREFIX: ClassVar[str] = "op"

    kind = models.CharField(max_length=30)
    rollout = models.ForeignKey(Rollout, on_delete=models.CASCADE, related_name="operations")
