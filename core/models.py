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
