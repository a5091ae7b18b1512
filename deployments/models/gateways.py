"""What the gateways should run, and what each has said it runs."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from core import clock
from core.fields import Revised
from deployments.models.fleet import Environment


class Gateway(Revised):
    """One Envoy of one environment. It proves itself by a token of which only the hash is here."""

    PREFIX: ClassVar[str] = "gtw"

    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="gateways")
    name = models.SlugField(max_length=60)
    address = models.CharField(max_length=200)
    token_hash = models.CharField(max_length=64, unique=True)
    last_poll_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["environment", "name"],
                condition=models.Q(removed_at__isnull=True),
                name="one_gateway_per_name",
            )
        ]


class GatewayState(models.Model):
    """Per gateway and resource type: what was served, acknowledged and rejected last."""

    gateway = models.ForeignKey(Gateway, on_delete=models.CASCADE, related_name="states")
    type_url = models.CharField(max_length=100)
    served_generation = models.PositiveBigIntegerField(default=0)
    served_count = models.PositiveIntegerField(default=0)
    acked_generation = models.PositiveBigIntegerField(default=0)
    acked_at = models.DateTimeField(null=True, blank=True)
    rejected_generation = models.PositiveBigIntegerField(default=0)
    rejected_at = models.DateTimeField(null=True, blank=True)
    rejected_reason = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["gateway", "type_url"], name="one_state_per_type")
        ]

    def __str__(self) -> str:
        return f"{self.gateway_id} {self.type_url}"


class Route(models.Model):
    """The share of an endpoint's traffic that one release should get. Desired, not observed.

    A row with 0 and 0 is exposed: its cluster and its smoke route exist, ordinary requests do
    not reach it. Only the reconcile loop writes these, in the transaction that decides.
    """

    endpoint = models.ForeignKey("Endpoint", on_delete=models.CASCADE, related_name="routes")
    release = models.ForeignKey("Release", on_delete=models.PROTECT, related_name="routes")
    percent = models.PositiveSmallIntegerField(default=0)
    mirror_percent = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["endpoint", "release"], name="one_route_per_release"),
            models.CheckConstraint(
                condition=models.Q(percent__lte=100, mirror_percent__lte=100),
                name="shares_are_percentages",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.endpoint_id} → {self.release_id}: {self.percent} %"


class Snapshot(models.Model):
    """The resources of one type that an environment's gateways should run.

    `generation` only grows and is the xDS version; the hash only says whether anything differs.
    """

    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="snapshots")
    type_url = models.CharField(max_length=100)
    generation = models.PositiveBigIntegerField()
    content_hash = models.CharField(max_length=64)
    resources = models.JSONField()
    published_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["environment", "type_url"], name="one_snapshot_per_type"
            )
        ]

    def __str__(self) -> str:
        return f"{self.environment_id} {self.type_url} {self.generation}"


class Publication(models.Model):
    """What one endpoint looked like from one generation on, until its next publication.

    A gateway says which generation it runs; this says what that means for an endpoint. For
    clusters `content` is a map of release id to addresses, for routes one of release id to
    `[percent, mirror_percent]`.

    `ADMITTED` is no type of a gateway's: it says who may ask, from which generation of the routes
    on. Only the newest of these is kept: whether the endpoint is open, and a map of key id to
    `[requests_per_minute, exhausted]`.
    """

    ADMITTED: ClassVar[str] = "slipway/admitted"

    endpoint = models.ForeignKey("Endpoint", on_delete=models.CASCADE, related_name="publications")
    type_url = models.CharField(max_length=100)
    generation = models.PositiveBigIntegerField()
    content = models.JSONField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["endpoint", "type_url", "generation"],
                name="one_publication_per_generation",
            )
        ]

    def __str__(self) -> str:
        return f"{self.endpoint_id} {self.type_url} from {self.generation}"
