"""What was counted, in windows; and how far, so that nothing is counted twice."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from deployments.models import Endpoint, Release, Replica


class Counted(models.Model):
    """What a report counts: requests by outcome, the rest as `monitoring.domain.codec` packs it."""

    requests_2xx = models.PositiveBigIntegerField(default=0)
    requests_4xx = models.PositiveBigIntegerField(default=0)
    requests_5xx = models.PositiveBigIntegerField(default=0)
    smoke = models.PositiveBigIntegerField(default=0)
    rows = models.PositiveBigIntegerField(default=0)
    refused = models.JSONField(default=dict)
    latency = models.JSONField(default=dict)

    class Meta:
        abstract = True


class Window(Counted):
    """What one collector's replicas of one release counted from `start` to `end`.

    Several rows may speak about one stretch: one for each collector, and one for each time that a
    collector died in it. Readers add them up.
    """

    class Resolution(models.IntegerChoices):
        SECOND = 1
        MINUTE = 60

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="+")
    # Repeats the release's, so that an endpoint's chart is one range of one index.
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="+")
    resolution = models.PositiveIntegerField(choices=Resolution.choices)
    start = models.DateTimeField()
    end = models.DateTimeField()
    shard = models.CharField(max_length=9)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["endpoint", "resolution", "end"], name="window_of_endpoint"),
            models.Index(fields=["resolution", "end"], name="window_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.release_id} {self.start:%H:%M:%S}–{self.end:%H:%M:%S}"


class Tally(Counted):
    """Everything that one collector ever counted of one release: it only grows."""

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="+")
    shard = models.CharField(max_length=9)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["release", "shard"], name="one_tally_per_release")
        ]

    def __str__(self) -> str:
        return f"{self.release_id} by {self.shard}"


class Baseline(models.Model):
    """Up to where one boot of one replica has been counted into minutes."""

    replica = models.ForeignKey(Replica, on_delete=models.CASCADE, related_name="+")
    boot_id = models.CharField(max_length=100)
    sequence = models.PositiveBigIntegerField()
    at = models.FloatField()
    counts = models.JSONField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["replica", "boot_id"], name="one_baseline_per_boot")
        ]

    def __str__(self) -> str:
        return f"{self.replica_id} {self.boot_id} {self.sequence}"


class CollectorShard(models.Model):
    """One share of the replicas. Whoever starts on it raises `epoch`; who holds an older one may
    not write any more, so that two collectors of one share never count together."""

    name = models.CharField(primary_key=True, max_length=9)
    epoch = models.PositiveBigIntegerField(default=0)
    beat_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class JournalSecond(models.Model):
    """What each replica's mark moved by in one second; void once its minute is stored."""

    shard = models.ForeignKey(CollectorShard, on_delete=models.CASCADE, related_name="journal")
    entries = models.JSONField()

    def __str__(self) -> str:
        return f"{self.shard_id} {self.pk}"
