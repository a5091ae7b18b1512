"""The audit log's rows, in their final shape: leaves of a Merkle log, sequenced later."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models

from core.fields import Identified


class Pseudonym(Identified):
    """What the log calls an account. The log keeps the name; only this row says whose it is."""

    PREFIX: ClassVar[str] = "act"

    ref = models.CharField(max_length=40, unique=True)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="pseudonym"
    )


class AuditEvent(models.Model):
    """One change, written in the transaction that made it. Never updated but for `leaf_index`
    (null until sequenced) and the redaction columns.

    `body` holds no personal data: it is canonical JSON, and with `payload_commit` it is the leaf.
    What may be personal (reasons, comments, names) is in the encrypted payload, bound to the leaf
    by HMAC-SHA256(salt, canonical payload); destroying salt and payload leaves every proof valid.
    """

    PREFIX: ClassVar[str] = "evt"

    id = models.BigAutoField(primary_key=True)
    event_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    occurred_at = models.DateTimeField(db_index=True)
    actor_ref = models.CharField(max_length=40, db_index=True)
    action = models.CharField(max_length=60, db_index=True)
    object_type = models.CharField(max_length=30)
    object_id = models.CharField(max_length=40, db_index=True)
    outcome = models.CharField(max_length=12, default="done")
    policy_version = models.CharField(max_length=40, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    body = models.TextField()
    payload_ct = models.BinaryField(null=True)
    payload_key_id = models.CharField(max_length=40, blank=True)
    salt = models.BinaryField(null=True)
    payload_commit = models.CharField(max_length=64)
    leaf_hash = models.CharField(max_length=64)
    leaf_index = models.BigIntegerField(null=True, unique=True)
    redacted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"
