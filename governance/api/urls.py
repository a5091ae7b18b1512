"""Addresses of governance's API."""

from __future__ import annotations

from django.urls import path

from governance.api.audit_events import AuditEvents, OneAuditEvent
from governance.api.me import Me
from governance.api.members import Members, OneMember
from governance.api.teams import OneTeam, Teams
from governance.api.tokens import OneToken, Tokens

urlpatterns = [
    path("me", Me.as_view(), name="api-me"),
    path("teams", Teams.as_view(), name="api-teams"),
    path("teams/<slug:name>", OneTeam.as_view(), name="api-team"),
    path("members", Members.as_view(), name="api-members"),
    path("members/<pid:binding_id>", OneMember.as_view(), name="api-member"),
    path("tokens", Tokens.as_view(), name="api-tokens"),
    path("tokens/<pid:token_id>", OneToken.as_view(), name="api-token"),
    path("audit-events", AuditEvents.as_view(), name="api-audit-events"),
    path("audit-events/<pid:event_id>", OneAuditEvent.as_view(), name="api-audit-event"),
]
