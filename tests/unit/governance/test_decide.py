"""Deny by default, and what it takes to be allowed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.errors import Broken
from governance.domain.access import SYSTEM, Actor, ActorKind, Binding, ScopeKind, Subject
from governance.domain.catalogue import CATALOGUE, SIGNED_IN, TokenScope
from governance.domain.decide import Why, allowed, reach
from governance.domain.roles import Role

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ALICE = Actor(user_id="alice", username="alice")
ENGINEER = Binding(Role.ML_ENGINEER, ScopeKind.TEAM, "risk")
OPERATOR = Binding(Role.OPERATOR, ScopeKind.ENVIRONMENT, "staging")
ENDPOINT = Subject("endpoint", "e", team_id="risk", environment_id="staging", model_id="tumour")


def with_token(*scopes: str) -> Actor:
    return Actor(user_id="alice", username="alice", scopes=frozenset(scopes), token_id="tok_1")


def test_whoever_has_no_role_is_refused_everything_but_their_own_account() -> None:
    for name in CATALOGUE:
        assert bool(allowed(ALICE, [], name, ENDPOINT, NOW)) == (name == SIGNED_IN)


def test_a_role_on_the_team_is_enough_in_every_environment() -> None:
    elsewhere = Subject("endpoint", "e", team_id="risk", environment_id="production")
    assert allowed(ALICE, [ENGINEER], "rollout.start", ENDPOINT, NOW)
    assert allowed(ALICE, [ENGINEER], "rollout.start", elsewhere, NOW)


def test_a_role_on_the_environment_is_enough_for_every_model_in_it() -> None:
    assert allowed(ALICE, [OPERATOR], "rollout.abort", ENDPOINT, NOW)
    other = Subject("endpoint", "f", team_id="risk", environment_id="production")
    assert allowed(ALICE, [OPERATOR], "rollout.abort", other, NOW).why is Why.OTHER_SCOPE


def test_a_role_on_another_team_is_not_enough() -> None:
    subject = Subject("endpoint", "e", team_id="fraud", environment_id="staging")
    assert allowed(ALICE, [ENGINEER], "rollout.start", subject, NOW).why is Why.OTHER_SCOPE


@pytest.mark.parametrize("kind", [ScopeKind.TEAM, ScopeKind.ENVIRONMENT, ScopeKind.MODEL])
def test_a_scope_without_an_id_never_covers_a_subject_without_one(kind: ScopeKind) -> None:
    binding = Binding(Role.ORG_ADMIN, kind, "")
    assert not allowed(ALICE, [binding], "team.create", Subject("team"), NOW)


def test_a_role_counts_until_the_moment_it_expires_and_not_at_it() -> None:
    held = Binding(Role.ML_ENGINEER, ScopeKind.EVERYTHING, expires_at=NOW)
    assert allowed(ALICE, [held], "rollout.start", ENDPOINT, NOW - timedelta(microseconds=1))
    assert allowed(ALICE, [held], "rollout.start", ENDPOINT, NOW).why is Why.EXPIRED


def test_what_lies_in_no_scope_can_be_done_with_a_role_in_any() -> None:
    assert allowed(ALICE, [ENGINEER], "environment.read", Subject("environment", "x"), NOW)
    assert not allowed(ALICE, [ENGINEER], "host.add", Subject("host"), NOW)


def test_a_token_does_no_more_than_its_scopes() -> None:
    reader = with_token(TokenScope.ROLLOUTS_READ)
    assert allowed(reader, [ENGINEER], "endpoint.read", ENDPOINT, NOW)
    assert allowed(reader, [ENGINEER], "rollout.start", ENDPOINT, NOW).why is Why.TOKEN_SCOPE


def test_a_token_does_no_more_than_its_owner() -> None:
    everything = with_token(*TokenScope)
    assert allowed(everything, [], "endpoint.read", ENDPOINT, NOW).why is Why.NO_ROLE


def test_a_token_that_may_write_may_also_read() -> None:
    assert allowed(with_token("rollouts:write"), [ENGINEER], "endpoint.read", ENDPOINT, NOW)
    assert allowed(with_token("models:write"), [ENGINEER], "model.read", ENDPOINT, NOW)


def test_no_token_and_no_machine_ever_approves() -> None:
    reviewer = Binding(Role.COMPLIANCE_REVIEWER, ScopeKind.EVERYTHING)
    machine = Actor("robot", "robot", kind=ActorKind.SERVICE)
    assert allowed(ALICE, [reviewer], "approval.decide", ENDPOINT, NOW)
    for actor in (with_token(*TokenScope), machine):
        verdict = allowed(actor, [reviewer], "approval.decide", ENDPOINT, NOW)
        assert verdict.why is Why.TOKEN_NEVER
    assert not [scope for scope in TokenScope if "approv" in scope]


def test_an_organisation_admin_does_everything_that_people_do_but_approve() -> None:
    admin = Binding(Role.ORG_ADMIN, ScopeKind.EVERYTHING)
    refused = {
        name
        for name, action in CATALOGUE.items()
        if action.roles and not allowed(ALICE, [admin], name, ENDPOINT, NOW)
    }
    assert refused == {"approval.decide"}


def test_an_auditor_and_a_viewer_change_nothing() -> None:
    own = {"token.create", "token.revoke"}
    for role in (Role.AUDITOR, Role.VIEWER):
        held = [Binding(role, ScopeKind.EVERYTHING)]
        can = {name for name in CATALOGUE if allowed(ALICE, held, name, ENDPOINT, NOW)}
        assert {name for name in can if not name.endswith(".read")} == own


def test_slipway_itself_does_only_what_is_marked_as_its_own() -> None:
    assert allowed(SYSTEM, [], "rollout.reconcile", ENDPOINT, NOW)
    assert allowed(SYSTEM, [], "rollout.start", ENDPOINT, NOW).why is Why.NOT_FOR_SYSTEM
    assert allowed(ALICE, [ENGINEER], "rollout.reconcile", ENDPOINT, NOW).why is Why.SYSTEM_ONLY


def test_an_action_that_nobody_listed_is_our_mistake_and_never_allowed() -> None:
    with pytest.raises(Broken):
        allowed(ALICE, [ENGINEER], "rollout.explode", ENDPOINT, NOW)


def test_a_refusal_names_the_permission_and_who_can_give_it() -> None:
    reason = allowed(ALICE, [], "rollout.start", ENDPOINT, NOW).reason
    assert "rollout.start" in reason
    assert "ml_engineer" in reason
    assert "admin can grant" in reason


BINDINGS = [
    Binding(role, kind, "" if kind is ScopeKind.EVERYTHING else scope, expires)
    for role in (Role.VIEWER, Role.ML_ENGINEER, Role.OPERATOR)
    for kind in ScopeKind
    for scope in ("risk", "staging")
    for expires in (None, NOW)
]


@pytest.mark.parametrize("action", sorted(CATALOGUE))
def test_filtering_many_rows_follows_the_same_rule_as_asking_about_one(action: str) -> None:
    subjects = [
        Subject("endpoint", "e", team_id=team, environment_id=environment, model_id=model)
        for team in ("risk", "fraud", "")
        for environment in ("staging", "production", "")
        for model in ("risk", "staging", "")
    ]
    actors = (ALICE, SYSTEM, with_token("rollouts:read"), with_token("admin"))
    for actor in actors:
        for binding in BINDINGS:
            where = reach(actor, [binding], action, NOW)
            for subject in subjects:
                inside = (
                    where.everything
                    or subject.team_id in where.teams
                    or subject.environment_id in where.environments
                    or subject.model_id in where.models
                )
                assert inside == allowed(actor, [binding], action, subject, NOW).allowed
