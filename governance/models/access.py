"""Teams, role bindings, tokens, one-time login links."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from core.fields import Identified, Revised


class Team(Revised):
    """Owns models. Its name is part of addresses, so it is a slug and never changes."""

    PREFIX: ClassVar[str] = "team"

    name = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=120, blank=True)


class RoleBinding(Identified):
    """One role of one account in one scope, perhaps until a day. Several bindings add up."""

    PREFIX: ClassVar[str] = "bnd"

    class Scope(models.TextChoices):
        EVERYTHING = "everything"
        TEAM = "team"
        ENVIRONMENT = "environment"
        MODEL = "model"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="bindings"
    )
    role = models.CharField(max_length=30)
    scope_kind = models.CharField(max_length=12, choices=Scope.choices)
    # Governance knows subjects by kind and id only: teams are its own, the rest is above it.
    scope_id = models.CharField(max_length=26, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    granted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="granted_bindings",
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "role", "scope_kind", "scope_id"], name="one_binding_per_scope"
            ),
            models.CheckConstraint(
                condition=Q(scope_kind="everything", scope_id="")
                | (~Q(scope_kind="everything") & ~Q(scope_id="")),
                name="scope_names_its_subject",
            ),
        ]


class ApiToken(Identified):
    """`slw_<8>_<43 base62>_<6 CRC32>`: the 8 look it up, the SHA-256 of the whole proves it.

    A token may do what its owner may, narrowed to its scopes; it never approves.
    """

    PREFIX: ClassVar[str] = "tok"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(max_length=80)
    lookup = models.CharField(max_length=8, unique=True)
    digest = models.CharField(max_length=64)
    scopes = models.JSONField(default=list)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)


class LoginLink(Identified):
    """A link that signs its owner in once, within minutes. Only its hash is kept."""

    PREFIX: ClassVar[str] = "lnk"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    digest = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
