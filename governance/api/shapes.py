"""How governance's rows look in the API, and what may be sent."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from core.api.fields import OneOf, Text, Whole
from core.api.serializers import StrictSerializer
from governance.domain.access import ScopeKind
from governance.domain.catalogue import TokenScope
from governance.domain.names import MAX_LENGTH, PATTERN
from governance.domain.roles import Role
from governance.services.tokens import DEFAULT_DAYS, MAX_DAYS


class TeamShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    name = serializers.CharField()
    title = serializers.CharField()
    created_at = serializers.DateTimeField()
    revision = serializers.IntegerField()


class NewTeam(StrictSerializer):
    name = serializers.RegexField(
        PATTERN,
        max_length=MAX_LENGTH,
        error_messages={
            "invalid": "A name has lower-case letters, digits and hyphens between them."
        },
    )
    title = Text(max_length=120, allow_blank=True, default="")


class TeamChange(StrictSerializer):
    title = Text(max_length=120, allow_blank=True)


class TokenShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewTokenShape(TokenShape):
    """The only answer that ever holds the token itself."""

    token = serializers.CharField(help_text="Shown once; keep it now.")


class NewToken(StrictSerializer):
    name = Text(max_length=80)
    scopes = serializers.ListField(
        child=OneOf(choices=[scope.value for scope in TokenScope]), min_length=1, required=False
    )
    expires_in_days = Whole(min_value=1, max_value=MAX_DAYS, default=DEFAULT_DAYS)


class ScopeShape(serializers.Serializer[Any]):
    kind = serializers.CharField()
    id = serializers.CharField(allow_null=True)
    name = serializers.CharField(allow_null=True)


class NewScope(StrictSerializer):
    kind = OneOf(choices=[kind.value for kind in ScopeKind])
    id = Text(max_length=40, required=False, help_text="team_…, env_… or mdl_…; none: everything")


class AccountShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    username = serializers.CharField()
    display_name = serializers.CharField()


class MemberShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    account = AccountShape()
    role = serializers.CharField()
    scope = ScopeShape()
    expires_at = serializers.DateTimeField(allow_null=True)
    granted_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class NewMember(StrictSerializer):
    username = Text(max_length=150)
    role = OneOf(choices=[role.value for role in Role])
    scope = NewScope(required=False)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class ActorShape(serializers.Serializer[Any]):
    ref = serializers.CharField(help_text="what the log calls the account")
    username = serializers.CharField(allow_null=True)


class ObjectShape(serializers.Serializer[Any]):
    type = serializers.CharField()
    id = serializers.CharField()


class AuditEventShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    occurred_at = serializers.DateTimeField()
    actor = ActorShape()
    action = serializers.CharField()
    object = ObjectShape()
    outcome = serializers.CharField()
    details = serializers.DictField(allow_null=True)
    request_id = serializers.CharField()
    leaf_hash = serializers.CharField()


class RoleShape(serializers.Serializer[Any]):
    role = serializers.CharField()
    scope = ScopeShape()
    expires_at = serializers.DateTimeField(allow_null=True)


class OwnTokenShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())


class MeShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    username = serializers.CharField()
    display_name = serializers.CharField()
    kind = serializers.CharField()
    roles = RoleShape(many=True)
    token = OwnTokenShape(required=False)
