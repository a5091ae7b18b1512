"""The gate, with rows behind it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core import clock
from core.errors import NotAllowed
from governance import authorize
from governance.domain.access import Actor, Subject
from governance.models import RoleBinding, Team, User
from tests.factories import people


def test_alice_may_deploy_for_her_team_and_for_no_other(alice: User, risk: Team) -> None:
    actor = people.actor(alice)
    authorize.require(actor, "rollout.start", Subject("endpoint", team_id=risk.pk))
    with pytest.raises(NotAllowed, match=r"rollout\.start"):
        authorize.require(actor, "rollout.start", Subject("endpoint", team_id="other"))


def test_bindings_are_read_once_per_request(
    alice: User, risk: Team, django_assert_num_queries: Any
) -> None:
    actor = people.actor(alice)
    subject = Subject("endpoint", team_id=risk.pk)
    with django_assert_num_queries(1):
        for action in ("rollout.start", "rollout.abort", "host.add"):
            authorize.can(actor, action, subject)
        authorize.require_anywhere(actor, "model.create")


def test_the_next_request_sees_a_role_that_was_taken_away(alice: User, risk: Team) -> None:
    subject = Subject("endpoint", team_id=risk.pk)
    assert authorize.can(people.actor(alice), "rollout.start", subject)
    RoleBinding.objects.filter(user=alice).delete()
    assert not authorize.can(people.actor(alice), "rollout.start", subject)


def test_an_account_that_was_disabled_may_do_nothing(alice: User, risk: Team) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert not authorize.can(
        people.actor(alice), "rollout.start", Subject("endpoint", team_id=risk.pk)
    )


def test_being_a_django_superuser_allows_nothing(mallory: User) -> None:
    User.objects.filter(pk=mallory.pk).update(is_superuser=True, is_staff=True)
    assert not authorize.can(people.actor(mallory), "team.create", Subject("team"))


def test_rows_are_filtered_by_the_same_rule(alice: User, risk: Team) -> None:
    people.team("fraud")
    RoleBinding.objects.filter(user=alice).update(role="org_admin")
    seen = authorize.visible(people.actor(alice), "team.edit", Team.objects.all(), team_path="pk")
    assert [team.name for team in seen] == ["risk"]


def test_rows_that_lie_in_no_scope_need_a_role_everywhere(alice: User, admin: User) -> None:
    RoleBinding.objects.filter(user=alice).update(role="org_admin")
    rows = RoleBinding.objects.all()
    assert not authorize.visible(people.actor(alice), "member.read", rows).exists()
    assert authorize.visible(people.actor(admin), "member.read", rows).exists()


def test_somebody_without_a_role_sees_no_rows(mallory: User, risk: Team) -> None:
    actor = people.actor(mallory)
    assert not authorize.visible(actor, "team.read", Team.objects.all(), team_path="pk").exists()


def test_an_expired_role_shows_and_allows_nothing(mallory: User, risk: Team) -> None:
    people.bind(mallory, "org_admin", expires_at=clock.now() - timedelta(seconds=1))
    actor: Actor = people.actor(mallory)
    assert not authorize.visible(actor, "team.read", Team.objects.all()).exists()
    with pytest.raises(NotAllowed, match="expired"):
        authorize.require(actor, "team.create", Subject("team"))
