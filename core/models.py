"""Rows that belong to no domain."""

from __future__ import annotations

from django.db import models


class Lease(models.Model):
    """Who is at work on something, until when. See `core.concurrency.lease`."""

    name = models.CharField(primary_key=True, max_length=120)
    token = models.CharField(max_length=32)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class IdempotencyRecord(models.Model):
    """A request that must not happen twice. `status` is null while it runs; see
    `core.api.idempotency`."""

    name = models.CharField(primary_key=True, max_length=64)
    fingerprint = models.CharField(max_length=64)
    claimed_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.BinaryField(null=True)

    def __str__(self) -> str:
        return self.name
