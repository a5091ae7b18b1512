"""What an approval would need. The rows exist from the start and ask for nothing yet."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from core.fields import Revised


class ApprovalPolicy(Revised):
    """How many distinct people must say yes before a release runs in an environment."""

    PREFIX: ClassVar[str] = "pol"

    environment_id = models.CharField(max_length=26)
    risk_tier = models.CharField(max_length=10)
    required_approvals = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name_plural = "approval policies"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["environment_id", "risk_tier"], name="one_policy_per_tier"
            )
        ]
