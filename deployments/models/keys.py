"""Keys with which clients authenticate at the gateways."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from core.fields import Revised
from deployments.models.fleet import Environment
from deployments.models.releases import Endpoint


class EndpointKey(Revised):
    """Lets its bearer send inferences to some endpoints of one environment.

    The key itself is a signed token that is shown once and kept nowhere. Gateways admit the keys
    that they are told of by id; so a key ends where its row says so, whatever the token says.
    """

    PREFIX: ClassVar[str] = "key"

    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="keys")
    name = models.CharField(max_length=60)
    endpoints = models.ManyToManyField(Endpoint, related_name="keys")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    # The key that replaced this one, which then expires early.
    rotated_to = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    requests_per_day = models.PositiveIntegerField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)


class KeyUsage(models.Model):
    """Inferences that a key has sent to an endpoint on one day (UTC)."""

    key = models.ForeignKey(EndpointKey, on_delete=models.CASCADE, related_name="usage")
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="+")
    day = models.DateField()
    requests = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["key", "endpoint", "day"], name="one_usage_per_key_endpoint_and_day"
            )
        ]

    def __str__(self) -> str:
        return f"{self.key_id} {self.endpoint_id} {self.day}: {self.requests}"
