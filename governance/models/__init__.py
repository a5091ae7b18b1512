"""Rows of governance."""

from __future__ import annotations

from governance.models.access import ApiToken, LoginLink, RoleBinding, Team
from governance.models.audit import AuditEvent, Pseudonym
from governance.models.policy import ApprovalPolicy
from governance.models.users import User

__all__ = [
    "ApiToken",
    "ApprovalPolicy",
    "AuditEvent",
    "LoginLink",
    "Pseudonym",
    "RoleBinding",
    "Team",
    "User",
]
