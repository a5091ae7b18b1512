"""What a policy asks for before a release may take traffic."""

from __future__ import annotations

from governance.models import ApprovalPolicy


def approved(*, environment_id: str, risk_tier: str) -> bool:
    """Whether no further person has to say yes. A policy that asks for approvals is never met
    before approvals exist: it fails closed."""
    policy = ApprovalPolicy.objects.filter(environment_id=environment_id, risk_tier=risk_tier)
    required = policy.values_list("required_approvals", flat=True).first()
    return not required
