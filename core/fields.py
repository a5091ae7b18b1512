"""Abstract models: an id that says what it names, and a version for optimistic concurrency."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from core import clock, ids


class Identified(models.Model):
    """A row with a ULID key. `PREFIX` is what people see in front of it."""

    PREFIX: ClassVar[str]

    id = models.CharField(primary_key=True, max_length=26, default=ids.new_ulid, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False, db_index=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.public(self.PREFIX, self.pk)


class Revised(Identified):
    """A row that people change. `revision` grows with each change and is the ETag."""

    revision = models.PositiveBigIntegerField(default=1)

    class Meta(Identified.Meta):
        abstract = True
