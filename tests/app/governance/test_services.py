"""Use-cases of governance: what they refuse, what they change, what they record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core import clock
from core.errors import Conflict, Invalid, NotAllowed, NotFound, Stale
from governance.domain import tokens as token_text
from governance.domain.access import SYSTEM
from governance.models import ApiToken, AuditEvent, LoginLink, RoleBinding, Team, User
from governance.selectors import actors
from governance.services import accounts, login_links, members, teams, tokens
from tests.factories import people


def recorded() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


# Teams


def test_a_team_is_made_by_an_admin_and_recorded(admin: User) -> None:
    team = teams.create(actor=people.actor(admin), name="risk", title="Risk")
    assert team.name == "risk"
    assert recorded() == ["team.create"]


def test_charlie_makes_no_team(charlie: User) -> None:
    with pytest.raises(NotAllowed):
        teams.create(actor=people.actor(charlie), name="mine")
    assert not Team.objects.exists()
    assert recorded() == []


def test_a_team_name_is_taken_once(admin: User, risk: Team) -> None:
    with pytest.raises(Conflict) as refusal:
        teams.create(actor=people.actor(admin), name="risk")
    assert refusal.value.stable_code == "team:name-taken"


@pytest.mark.parametrize("name", ["", "Risk", "a b", "-a", "a" * 61, "ä", "a\n"])
def test_a_team_name_is_a_slug(admin: User, name: str) -> None:
    with pytest.raises(Invalid):
        teams.create(actor=people.actor(admin), name=name)


def test_a_title_that_changed_meanwhile_is_not_overwritten(admin: User, risk: Team) -> None:
    teams.rename(actor=people.actor(admin), team=risk, title="One", revision=1)
    with pytest.raises(Stale):
        teams.rename(actor=people.actor(admin), team=risk, title="Two", revision=1)
    assert Team.objects.get().title == "One"


# Tokens


def test_a_token_is_stored_as_a_hash_and_opens_nothing_else(alice: User) -> None:
    issued = tokens.issue(actor=people.actor(alice), name="laptop", scopes=["models:read"])
    row = ApiToken.objects.get()
    parsed = token_text.parse(issued.text)
    assert parsed is not None
    assert row.digest == parsed.digest
    assert issued.text not in str(vars(row))
    assert recorded() == ["token.create"]


def test_a_token_may_only_read_and_lives_90_days_unless_asked_otherwise(alice: User) -> None:
    token = tokens.issue(actor=people.actor(alice), name="laptop").token
    assert token.scopes == ["models:read", "rollouts:read"]
    assert timedelta(days=89) < token.expires_at - clock.now() <= timedelta(days=90)


@pytest.mark.parametrize("days", [0, -1, 366])
def test_a_token_never_lives_longer_than_a_year(alice: User, days: int) -> None:
    with pytest.raises(Invalid):
        tokens.issue(actor=people.actor(alice), name="x", expires_in_days=days)


@pytest.mark.parametrize("scopes", [[], ["approvals:decide"], ["models:read", "root"]])
def test_a_token_has_known_scopes_only(alice: User, scopes: list[str]) -> None:
    with pytest.raises(Invalid):
        tokens.issue(actor=people.actor(alice), name="x", scopes=scopes)


def test_somebody_without_a_role_gets_no_token(mallory: User) -> None:
    with pytest.raises(NotAllowed):
        tokens.issue(actor=people.actor(mallory), name="x")


def test_nobody_makes_a_token_that_speaks_as_another_person(admin: User, alice: User) -> None:
    with pytest.raises(NotAllowed):
        tokens.issue(actor=people.actor(admin), name="x", owner_id=alice.pk)


def test_an_admin_makes_tokens_for_machines(admin: User) -> None:
    robot = accounts.create_service(actor=people.actor(admin), username="ci")
    issued = tokens.issue(actor=people.actor(admin), name="ci", owner_id=robot.pk)
    assert issued.token.user_id == robot.pk


def test_a_token_that_makes_another_does_not_outlive_itself_that_way(admin: User) -> None:
    first = tokens.issue(
        actor=people.actor(admin), name="short", scopes=["admin"], expires_in_days=1
    ).token
    second = tokens.issue(actor=actors.of_token(first), name="long", expires_in_days=365).token
    assert second.expires_at == first.expires_at


def test_a_narrow_token_makes_no_other(admin: User) -> None:
    narrow = tokens.issue(actor=people.actor(admin), name="x", scopes=["models:write"]).token
    with pytest.raises(NotAllowed):
        tokens.issue(actor=actors.of_token(narrow), name="y")


def test_revoking_twice_is_revoking_once(alice: User) -> None:
    token = tokens.issue(actor=people.actor(alice), name="x").token
    for _ in range(2):
        tokens.revoke(actor=people.actor(alice), token_id=token.pk)
    assert recorded() == ["token.create", "token.revoke"]


def test_charlie_cannot_even_see_that_alice_has_a_token(alice: User, charlie: User) -> None:
    token = tokens.issue(actor=people.actor(alice), name="x").token
    with pytest.raises(NotFound):
        tokens.revoke(actor=people.actor(charlie), token_id=token.pk)


def test_an_admin_revokes_anybodys_token(alice: User, admin: User) -> None:
    token = tokens.issue(actor=people.actor(alice), name="x").token
    tokens.revoke(actor=people.actor(admin), token_id=token.pk)
    assert recorded()[-1] == "token.revoke_any"


# Members


def test_a_role_is_granted_in_a_scope_and_recorded(admin: User, mallory: User, risk: Team) -> None:
    binding = members.grant(
        actor=people.actor(admin),
        username="mallory",
        role="viewer",
        scope_kind="team",
        scope_id=risk.pk,
    )
    assert (binding.user, binding.role, binding.granted_by_id) == (mallory, "viewer", admin.pk)
    assert recorded() == ["member.grant"]


def test_nobody_grants_a_role_to_themselves(admin: User) -> None:
    with pytest.raises(NotAllowed) as refusal:
        members.grant(actor=people.actor(admin), username="admin", role="compliance_reviewer")
    assert refusal.value.stable_code == "member:self-grant"


def test_an_admin_of_one_team_grants_nothing_beyond_it(
    mallory: User, charlie: User, risk: Team
) -> None:
    people.bind(mallory, "org_admin", scope_kind="team", scope_id=risk.pk)
    actor = people.actor(mallory)
    within = {"scope_kind": "team", "scope_id": risk.pk}
    assert members.grant(actor=actor, username="charlie", role="ml_engineer", **within)
    with pytest.raises(NotAllowed):
        members.grant(actor=actor, username="charlie", role="org_admin")


def test_granting_again_moves_the_day_it_ends(admin: User, mallory: User) -> None:
    until = clock.now() + timedelta(days=3)
    for expires_at in (None, until):
        members.grant(
            actor=people.actor(admin), username="mallory", role="viewer", expires_at=expires_at
        )
    assert RoleBinding.objects.get(user=mallory).expires_at == until


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": "king"},
        {"role": "viewer", "scope_kind": "galaxy"},
        {"role": "viewer", "scope_kind": "team"},
        {"role": "viewer", "scope_id": "01J00000000000000000000000"},
        {"role": "viewer", "scope_kind": "model", "scope_id": "nonsense"},
        {"role": "viewer", "expires_at": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
)
def test_a_grant_that_means_nothing_is_refused(
    admin: User, mallory: User, wrong: dict[str, object]
) -> None:
    with pytest.raises(Invalid):
        members.grant(actor=people.actor(admin), username="mallory", **wrong)  # type: ignore[arg-type]


def test_a_machine_never_becomes_a_reviewer(admin: User) -> None:
    accounts.create_service(actor=people.actor(admin), username="ci")
    with pytest.raises(Invalid):
        members.grant(actor=people.actor(admin), username="ci", role="compliance_reviewer")


def test_the_last_admin_stays(admin: User, bob: User) -> None:
    own = RoleBinding.objects.get(user=admin)
    for attempt in (
        lambda: members.revoke(actor=people.actor(admin), binding_id=own.pk),
        lambda: accounts.disable(actor=people.actor(admin), user_id=admin.pk),
    ):
        with pytest.raises(Conflict) as refusal:
            attempt()
        assert refusal.value.stable_code == "member:last-admin"
    people.bind(bob, "org_admin")
    members.revoke(actor=people.actor(admin), binding_id=own.pk)
    assert recorded() == ["member.revoke"]


def test_an_admin_whose_role_expires_does_not_count_as_another(admin: User, bob: User) -> None:
    people.bind(bob, "org_admin", expires_at=clock.now() - timedelta(seconds=1))
    with pytest.raises(Conflict):
        members.revoke(actor=people.actor(admin), binding_id=RoleBinding.objects.get(user=admin).pk)


# Accounts and login links


def test_the_first_admin_is_made_once(db: None) -> None:
    first, second = accounts.bootstrap_admin(), accounts.bootstrap_admin()
    assert first.password
    assert first.user.check_password(first.password)
    assert second.password is None
    assert User.objects.count() == RoleBinding.objects.count() == 1
    assert recorded() == ["account.create", "member.grant"]


def test_an_account_that_was_disabled_is_not_bootstrapped_again(db: None) -> None:
    made = accounts.bootstrap_admin()
    User.objects.filter(pk=made.user.pk).update(is_active=False)
    with pytest.raises(Conflict):
        accounts.bootstrap_admin()


@pytest.mark.parametrize("username", ["", "a b", "x" * 151, "a\x00"])
def test_a_username_can_be_typed(admin: User, username: str) -> None:
    with pytest.raises(Invalid):
        accounts.create_person(actor=people.actor(admin), username=username)


def test_a_username_is_taken_once(admin: User, alice: User) -> None:
    with pytest.raises(Conflict):
        accounts.create_person(actor=people.actor(admin), username="alice")


def test_a_login_link_is_kept_as_a_hash_and_works_once(alice: User) -> None:
    secret = login_links.make(actor=SYSTEM, username="alice")
    assert secret not in str(LoginLink.objects.values())
    assert login_links.use(secret) == alice
    with pytest.raises(Conflict):
        login_links.use(secret)


def test_a_login_link_expires_after_30_minutes(alice: User) -> None:
    secret = login_links.make(actor=SYSTEM, username="alice")
    later = clock.now() + timedelta(minutes=30)
    with clock.at(lambda: later), pytest.raises(Conflict):
        login_links.use(secret)


def test_nobody_but_the_machine_makes_login_links(admin: User, alice: User) -> None:
    with pytest.raises(NotAllowed):
        login_links.make(actor=people.actor(admin), username="alice")


def test_a_machine_has_no_login_link(admin: User) -> None:
    accounts.create_service(actor=people.actor(admin), username="ci")
    with pytest.raises(NotFound):
        login_links.make(actor=SYSTEM, username="ci")
