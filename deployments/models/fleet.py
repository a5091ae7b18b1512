"""Where replicas run: environments, hosts, and the replicas themselves."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from core.fields import Identified, Revised


class Environment(Revised):
    """Hosts, gateways and a protection policy under one name."""

    PREFIX: ClassVar[str] = "env"

    name = models.SlugField(max_length=40, unique=True)
    is_production = models.BooleanField(default=False)
    bake_seconds = models.FloatField(default=30)
    drain_seconds = models.FloatField(default=30)
    # Part of the gateways' configuration; see `deployments.domain.routing`.
    smoke_secret = models.CharField(max_length=64)


class Host(Revised):
    """Something that runs replicas. `last_contact_at` older than the silence limit: silent.

    `address` of a Docker Engine: `unix://…`, `tcp://host:port` or `ssh://user@host`. Its replicas'
    ports are published on `publish_address`, which gateways must reach. `sealed_tls` holds the
    client certificate and key for an Engine behind mutual TLS (`core.keys`); `engine` is what the
    Engine last said about itself.
    """

    PREFIX: ClassVar[str] = "hst"

    class Kind(models.TextChoices):
        PROCESS = "process"
        DOCKER = "docker"

    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="hosts")
    name = models.SlugField(max_length=60)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    address = models.CharField(max_length=200, blank=True)
    publish_address = models.CharField(max_length=100, blank=True)
    sealed_tls = models.TextField(blank=True)
    engine = models.JSONField(default=dict, blank=True)
    capacity = models.PositiveIntegerField(default=32)
    last_contact_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["environment", "name"],
                condition=models.Q(removed_at__isnull=True),
                name="one_host_per_name",
            )
        ]


class Replica(Identified):
    """One running copy of a release on one host.

    The row is written before the process starts and outlives it, so that nothing runs unnamed
    and every end keeps its evidence.
    """

    PREFIX: ClassVar[str] = "rep"

    class State(models.TextChoices):
        STARTING = "starting"  # asked for; not yet ready three times in a row
        READY = "ready"
        FAILED = "failed"  # ended or never became ready; `failure` says why
        STOPPING = "stopping"  # no longer needed, told to stop
        STOPPED = "stopped"

    LIVE: ClassVar = (State.STARTING, State.READY)
    # What may still run: an ended copy is gone, whatever else it left behind.
    PRESENT: ClassVar = (State.STARTING, State.READY, State.STOPPING)

    release = models.ForeignKey("Release", on_delete=models.PROTECT, related_name="replicas")
    host = models.ForeignKey(Host, on_delete=models.PROTECT, related_name="replicas")
    slot = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=10, choices=State.choices, default=State.STARTING)
    address = models.CharField(max_length=100, blank=True)
    port = models.PositiveIntegerField(null=True, blank=True)
    grpc_port = models.PositiveIntegerField(null=True, blank=True)
    boot_id = models.CharField(max_length=64, blank=True)
    ready_streak = models.PositiveIntegerField(default=0)
    ready_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    last_probe = models.JSONField(default=dict)
    failure = models.JSONField(null=True, blank=True)
    log_tail = models.TextField(blank=True)
    revision = models.PositiveBigIntegerField(default=1)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["state"], name="replica_state")]
        constraints: ClassVar = [
            # Two workers that decide the same start one copy, not two.
            models.UniqueConstraint(
                fields=["release", "slot"],
                condition=models.Q(state__in=("starting", "ready", "stopping")),
                name="one_copy_per_slot",
            )
        ]
