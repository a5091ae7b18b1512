"""/teams, /members, /tokens, /audit-events."""

from __future__ import annotations

from governance.models import RoleBinding, Team, User
from tests.factories import people
from tests.factories.api import Api, refused_with


def test_a_team_is_made_shown_and_listed(admin_api: Api) -> None:
    made = admin_api.post("/teams", {"name": "risk", "title": "Risk"})
    assert made.status_code == 201
    assert made["Location"] == "/api/v1/teams/risk"
    shown = admin_api.get("/teams/risk").json()
    assert shown == made.json() == admin_api.get("/teams").json()["items"][0]
    assert shown["id"].startswith("team_")
    assert shown["created_at"].endswith("Z")


def test_a_team_that_is_not_there_is_not_found(admin_api: Api) -> None:
    assert refused_with(admin_api.get("/teams/none"), 404, "not-found")


def test_charlie_sees_teams_and_makes_none(charlie: User, risk: Team) -> None:
    api = Api(token=people.token(charlie))
    assert [team["name"] for team in api.get("/teams").json()["items"]] == ["risk"]
    response = api.post("/teams", {"name": "mine"})
    assert refused_with(response, 403, "auth:not-allowed")
    assert response.json()["action"] == "team.create"


def test_a_role_is_granted_listed_and_revoked(admin_api: Api, mallory: User, risk: Team) -> None:
    body = {
        "username": "mallory",
        "role": "viewer",
        "scope": {"kind": "team", "id": risk.public_id},
        "expires_at": "2100-01-01T00:00:00Z",
    }
    made = admin_api.post("/members", body)
    assert made.status_code == 201
    shown = made.json()
    assert shown["scope"] == {"kind": "team", "id": risk.public_id, "name": "risk"}
    assert shown["account"]["username"] == "mallory"
    assert shown["granted_by"] == "admin"
    assert shown in admin_api.get("/members").json()["items"]
    assert admin_api.delete(f"/members/{shown['id']}").status_code == 204
    assert not RoleBinding.objects.filter(user=mallory).exists()


def test_a_scope_with_the_id_of_something_else_is_not_found(
    admin_api: Api, mallory: User, risk: Team
) -> None:
    body = {
        "username": "mallory",
        "role": "viewer",
        "scope": {"kind": "model", "id": risk.public_id},
    }
    assert refused_with(admin_api.post("/members", body), 404, "not-found")


def test_everything_is_not_narrowed_by_an_id(admin_api: Api, mallory: User, risk: Team) -> None:
    body = {
        "username": "mallory",
        "role": "viewer",
        "scope": {"kind": "everything", "id": risk.public_id},
    }
    assert refused_with(admin_api.post("/members", body), 422, "member:bad-scope")


def test_a_token_is_shown_once_and_works(alice: User) -> None:
    api = Api(user=alice)
    made = api.post("/tokens", {"name": "ci", "scopes": ["rollouts:write"]})
    assert made.status_code == 201
    text = made.json()["token"]
    assert Api(token=text).get("/me").json()["username"] == "alice"
    assert text not in str(api.get("/tokens").json())


def test_nobody_lists_the_tokens_of_another(alice: User, admin_api: Api) -> None:
    people.token(alice)
    assert len(admin_api.get("/tokens").json()["items"]) == 1


def test_a_narrow_token_lists_no_tokens(alice: User) -> None:
    api = Api(token=people.token(alice, "models:read"))
    assert refused_with(api.get("/tokens"), 403, "auth:not-allowed")


def test_the_audit_log_tells_who_did_what_and_why(admin_api: Api, bob: User) -> None:
    admin_api.post("/teams", {"name": "risk"}, x_request_id="req-7")
    events = Api(token=people.token(bob, "audit:read")).get("/audit-events").json()["items"]
    assert [event["action"] for event in events] == ["team.create"]
    event = events[0]
    assert event["actor"]["username"] == "admin"
    assert event["details"]["name"] == "risk"
    assert event["request_id"] == "req-7"
    assert event["object"]["id"].startswith("team_")
    assert len(event["leaf_hash"]) == 64


def test_the_audit_log_is_filtered_by_what_people_ask_for(admin_api: Api) -> None:
    team = admin_api.post("/teams", {"name": "risk"}).json()["id"]
    admin_api.post("/teams", {"name": "fraud"})
    for query, number in (
        (f"object={team}", 1),
        ("action=team.create", 2),
        ("action=team.edit", 0),
        ("actor=admin", 2),
        ("actor=bob", 0),
        ("occurred_after=2000-01-01T00:00:00Z", 2),
        ("occurred_before=2000-01-01T00:00:00Z", 0),
    ):
        assert len(admin_api.get(f"/audit-events?{query}").json()["items"]) == number, query


def test_one_event_has_an_address(admin_api: Api) -> None:
    admin_api.post("/teams", {"name": "risk"})
    event = admin_api.get("/audit-events").json()["items"][0]
    assert admin_api.get(f"/audit-events/{event['id']}").json() == event


def test_a_page_of_events_costs_as_many_queries_as_one(
    admin_api: Api, django_assert_max_num_queries: object
) -> None:
    for number in range(12):
        admin_api.post("/teams", {"name": f"team-{number}"})
    admin_api.get("/me")
    with django_assert_max_num_queries(6):  # type: ignore[operator]
        assert len(admin_api.get("/audit-events?limit=200").json()["items"]) == 12
