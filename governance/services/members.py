"""Who holds which role, where, until when."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Q

from core import clock, ids
from core.errors import Conflict, FieldProblem, Invalid, NotAllowed, NotFound
from governance import audit, authorize
from governance.domain.access import ActorKind, ScopeKind, Subject
from governance.domain.roles import Role
from governance.models import RoleBinding, Team, User

if TYPE_CHECKING:
    from governance.domain.access import Actor


def grant(
    *,
    actor: Actor,
    username: str,
    role: str,
    scope_kind: str = ScopeKind.EVERYTHING,
    scope_id: str = "",
    expires_at: datetime | None = None,
) -> RoleBinding:
    """Give a role in a scope. Granting what is held already only changes its expiry.

    The id of an environment or a model is not looked up: governance knows them by id only, and a
    role on something that does not exist allows nothing.

    Raises:
        NotAllowed: not theirs to do, or to themselves.
        Invalid, NotFound: no such role, scope or account.
    """
    subject = _scope_subject(scope_kind, scope_id)
    authorize.require(actor, "member.grant", subject)
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise NotFound(f"There is no account {username[:80]!r}.")
    if user.pk == actor.user_id:
        raise NotAllowed(
            "Nobody grants a role to themselves; another admin can.", code="member:self-grant"
        )
    _check(user, role, expires_at)
    granter = None if actor.kind is ActorKind.SYSTEM else actor.user_id
    with transaction.atomic():
        binding, _ = RoleBinding.objects.update_or_create(
            user=user,
            role=role,
            scope_kind=scope_kind,
            scope_id=scope_id,
            defaults={"expires_at": expires_at, "granted_by_id": granter},
        )
        audit.record(
            actor,
            "member.grant",
            Subject("member", binding.pk, team_id=subject.team_id),
            account=user.pk,
            role=role,
            scope=f"{scope_kind}:{scope_id}",
            expires_at=expires_at,
        )
    return binding


def revoke(*, actor: Actor, binding_id: str) -> None:
    """Take a role away; it stops counting with the next request.

    Raises:
        NotAllowed, NotFound: not theirs to do, or no such binding.
        Conflict: nobody would be left to administer.
    """
    binding = RoleBinding.objects.filter(pk=binding_id).first()
    if binding is None:
        raise NotFound("There is no such role binding.")
    subject = _scope_subject(binding.scope_kind, binding.scope_id)
    authorize.require(actor, "member.revoke", subject)
    with transaction.atomic():
        require_another_admin(Q(pk=binding.pk))
        RoleBinding.objects.filter(pk=binding.pk).delete()
        audit.record(
            actor,
            "member.revoke",
            Subject("member", binding.pk, team_id=subject.team_id),
            account=binding.user_id,
            role=binding.role,
            scope=f"{binding.scope_kind}:{binding.scope_id}",
        )


def require_another_admin(without: Q) -> None:
    """Inside a transaction: refuse when no administrator would be left but the bindings `without`.

    The rows are locked, so that two administrators cannot remove each other at the same moment.

    Raises:
        Conflict: there would be none.
    """
    admins = RoleBinding.objects.filter(
        role=Role.ORG_ADMIN,
        scope_kind=ScopeKind.EVERYTHING,
        user__is_active=True,
        user__kind=User.Kind.PERSON,
    ).filter(Q(expires_at__isnull=True) | Q(expires_at__gt=clock.now()))
    held = set(admins.select_for_update(of=("self",)).values_list("pk", flat=True))
    removed = set(RoleBinding.objects.filter(without).values_list("pk", flat=True))
    if held & removed and not held - removed:
        raise Conflict(
            "This is the last organisation admin; make another one first.", code="member:last-admin"
        )


def _check(user: User, role: str, expires_at: datetime | None) -> None:
    if role not in set(Role):
        raise _invalid("/role", f"Roles are: {', '.join(Role)}.", "member:unknown-role")
    if user.kind == User.Kind.SERVICE and role == Role.COMPLIANCE_REVIEWER:
        raise _invalid("/role", "A service account never approves.", "member:not-for-services")
    if expires_at is not None and expires_at <= clock.now():
        raise _invalid("/expires_at", "This moment has passed.", "member:already-expired")


def _scope_subject(kind: str, scope_id: str) -> Subject:
    if kind not in set(ScopeKind):
        raise _invalid("/scope/kind", f"Scopes are: {', '.join(ScopeKind)}.", "member:bad-scope")
    if (kind == ScopeKind.EVERYTHING) != (scope_id == ""):
        raise _invalid("/scope/id", "A scope but `everything` names one thing.", "member:bad-scope")
    if scope_id and not ids.is_ulid(scope_id):
        raise _invalid("/scope/id", "This is not the id of anything.", "member:bad-scope")
    if kind == ScopeKind.TEAM and not Team.objects.filter(pk=scope_id).exists():
        raise NotFound("There is no such team.")
    return Subject(
        "member",
        team_id=scope_id if kind == ScopeKind.TEAM else "",
        environment_id=scope_id if kind == ScopeKind.ENVIRONMENT else "",
        model_id=scope_id if kind == ScopeKind.MODEL else "",
    )


def _invalid(pointer: str, sentence: str, code: str) -> Invalid:
    return Invalid(sentence, code=code, problems=[FieldProblem(pointer, code, sentence)])
