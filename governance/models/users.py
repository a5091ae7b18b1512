"""Accounts: people, and the machines that act for a team."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models

from core import ids


class User(AbstractUser):
    """The user model from the first migration on. A service account is no person: it never signs
    in, never approves, and only holds tokens."""

    PREFIX: ClassVar[str] = "usr"

    class Kind(models.TextChoices):
        PERSON = "person"
        SERVICE = "service"

    id = models.CharField(primary_key=True, max_length=26, default=ids.new_ulid, editable=False)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.PERSON)
    display_name = models.CharField(max_length=120, blank=True)

    @property
    def public_id(self) -> str:
        return ids.public(self.PREFIX, self.pk)

    @property
    def shown_name(self) -> str:
        return self.display_name or self.get_full_name() or self.username
