"""The roles, and what each is for. What they may do is said once, in the catalogue."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    VIEWER = "viewer"
    ML_ENGINEER = "ml_engineer"
    ML_LEAD = "ml_lead"
    OPERATOR = "operator"
    COMPLIANCE_REVIEWER = "compliance_reviewer"
    AUDITOR = "auditor"
    ORG_ADMIN = "org_admin"


TITLES: dict[Role, str] = {
    Role.VIEWER: "Looks at models, endpoints and rollouts",
    Role.ML_ENGINEER: "Registers models and rolls them out",
    Role.ML_LEAD: "An engineer who also answers for the team's models",
    Role.OPERATOR: "Runs environments, hosts and gateways, and may stop or roll back any rollout",
    Role.COMPLIANCE_REVIEWER: "Approves, and reads the audit log",
    Role.AUDITOR: "Reads everything, changes nothing",
    Role.ORG_ADMIN: "Manages teams, members and everything else, but never approves",
}

EVERY_ROLE = frozenset(Role)
# Whoever works on models; each may also look.
ENGINEERS = frozenset({Role.ML_ENGINEER, Role.ML_LEAD, Role.ORG_ADMIN})
OPERATORS = frozenset({Role.OPERATOR, Role.ORG_ADMIN})
ROLLERS = ENGINEERS | OPERATORS
# Whoever answers for what is exposed to strangers.
STEWARDS = OPERATORS | {Role.ML_LEAD}
ADMINS = frozenset({Role.ORG_ADMIN})
REVIEWERS = frozenset({Role.COMPLIANCE_REVIEWER})
OVERSEERS = frozenset({Role.COMPLIANCE_REVIEWER, Role.AUDITOR, Role.ORG_ADMIN})
