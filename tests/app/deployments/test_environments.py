"""Environments, hosts, gateways, and joining this machine to them."""

from __future__ import annotations

import json
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command

from core import clock
from core.errors import Conflict, Invalid, NotAllowed
from deployments.domain.gateways import token_hash, token_matches
from deployments.models import Endpoint, Gateway, Host, Release, Replica
from deployments.services import gateways, hosts
from governance.models import AuditEvent, User
from tests.app.reconcile.conftest import Site
from tests.factories import people
from tests.factories.api import Api, refused_with
from tests.factories.people import actor

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(db: None) -> User:
    user = people.person("bob")
    people.bind(user, "operator")
    return user


@pytest.fixture(autouse=True)
def _first_environments(db: None) -> None:
    """By the migration that makes them, again: another test may have emptied the tables."""
    import_module("deployments.migrations.0004_first_environments").create(apps, None)


def test_staging_and_production_are_there_from_the_start(charlie_api: Api) -> None:
    found = {row["name"]: row for row in charlie_api.get("/environments").json()["items"]}
    assert set(found) == {"staging", "production"}
    assert found["staging"]["bake_seconds"] == 30
    assert found["production"]["bake_seconds"] == 300
    assert {row["drain_seconds"] for row in found.values()} == {30}
    assert (found["staging"]["is_production"], found["production"]["is_production"]) == (
        False,
        True,
    )
    assert "smoke_secret" not in json.dumps(found)


def test_an_operator_changes_how_long_a_release_bakes(operator_api: Api, alice_api: Api) -> None:
    body = {"bake_seconds": 5}
    answer = alice_api.patch("/environments/staging", body, if_match="*")
    assert refused_with(answer, 403, "auth:not-allowed")
    answer = operator_api.patch("/environments/staging", body, if_match='"v1"')
    assert (answer.json()["bake_seconds"], answer["ETag"]) == (5, '"v2"')
    wrong = operator_api.patch("/environments/staging", {"bake_seconds": -1}, if_match="*")
    assert wrong.status_code == 422


def test_a_host_is_added_seen_and_removed(operator_api: Api) -> None:
    made = operator_api.post("/hosts", {"environment": "staging", "name": "local"})
    assert made.status_code == 201, made.content
    host = made.json()
    assert (host["kind"], host["state"], host["replicas"]) == ("process", "unknown", 0)
    assert operator_api.get(f"/hosts/{host['id']}").json() == host
    taken = operator_api.post("/hosts", {"environment": "staging", "name": "local"})
    assert refused_with(taken, 409, "host:name-taken")
    gone = operator_api.delete(f"/hosts/{host['id']}", if_match=made["ETag"])
    assert gone.status_code == 204
    assert refused_with(operator_api.get(f"/hosts/{host['id']}"), 404, "host:not-found")
    again = operator_api.post("/hosts", {"environment": "staging", "name": "local"})
    assert again.status_code == 201, "a removed host leaves its name"


def test_process_hosts_are_refused_in_production_settings(operator: User, settings: Any) -> None:
    settings.CONFIG = settings.CONFIG.model_copy(update={"profile": "production"})
    with pytest.raises(NotAllowed) as refusal:
        hosts.add(actor=actor(operator), environment="staging", name="local")
    assert refusal.value.stable_code == "host:kind-not-allowed"
    assert not Host.objects.exists()


def test_in_production_clients_reach_a_gateway_over_tls_only(operator: User, settings: Any) -> None:
    settings.CONFIG = settings.CONFIG.model_copy(update={"profile": "production"})
    given = {"actor": actor(operator), "environment": "staging", "name": "east"}
    with pytest.raises(Invalid) as refusal:
        gateways.register(**given, address="http://east:8080")
    assert refusal.value.problems[0].code == "plain_transport"
    made = gateways.register(**given, address="https://east:8443").gateway
    with pytest.raises(Invalid):
        gateways.move(
            actor=actor(operator),
            gateway_id=made.public_id,
            revision=made.revision,
            address="http://east:8080",
        )


def test_a_host_with_replicas_is_not_removed(site: Site, operator: User) -> None:
    endpoint = Endpoint.objects.create(model=site.model, environment=site.environment)
    release = Release.objects.create(
        endpoint=endpoint, version=site.model.versions.get(number=1), config={}, digest="d"
    )
    copy = Replica.objects.create(release=release, host=site.host_row)
    who = actor(operator)
    with pytest.raises(Conflict) as refusal:
        hosts.remove(actor=who, host_id=site.host_row.public_id, revision=1)
    assert refusal.value.stable_code == "host:has-replicas"
    site.host_row.refresh_from_db()
    assert (site.host_row.removed_at, site.host_row.revision) == (None, 1)
    Replica.objects.filter(pk=copy.pk).update(state=Replica.State.STOPPED)
    hosts.remove(actor=who, host_id=site.host_row.public_id, revision=1)


@pytest.mark.parametrize("answered", ["lately", "long ago", "never"])
def test_a_host_says_whether_it_answers(charlie_api: Api, site: Site, answered: str) -> None:
    seconds = {"lately": 1, "long ago": 3600}.get(answered)
    at = clock.now() - timedelta(seconds=seconds) if seconds else None
    Host.objects.filter(pk=site.host_row.pk).update(last_contact_at=at)
    [row] = charlie_api.get("/hosts").json()["items"]
    assert row["state"] == {"lately": "ok", "long ago": "silent", "never": "unknown"}[answered]


def test_a_gateways_token_is_shown_once_and_kept_as_a_hash(operator_api: Api) -> None:
    body = {"environment": "staging", "name": "edge", "address": "http://10.0.0.1:8080/"}
    made = operator_api.post("/gateways", body)
    assert made.status_code == 201, made.content
    token = made.json()["token"]
    row = Gateway.objects.get()
    assert token_matches(token, row.token_hash)
    assert row.address == "http://10.0.0.1:8080"
    shown = operator_api.get(f"/gateways/{made.json()['id']}")
    assert token not in shown.content.decode()
    assert row.token_hash not in shown.content.decode()
    assert all(token not in event.body for event in AuditEvent.objects.all())


@pytest.mark.parametrize(
    "address",
    ["", "ftp://x", "http://", "http://a/b", "http://a:99999", "http://u:p@a", "x", "http://a b"],
)
def test_an_address_is_an_origin(operator: User, address: str) -> None:
    with pytest.raises(Invalid):
        gateways.register(
            actor=actor(operator), environment="staging", name="edge", address=address
        )


def test_removing_a_gateway_frees_its_name_and_ends_its_token(operator_api: Api) -> None:
    body = {"environment": "staging", "name": "edge", "address": "http://10.0.0.1:8080"}
    made = operator_api.post("/gateways", body)
    address = f"/gateways/{made.json()['id']}"
    missing = operator_api.delete(address)
    assert refused_with(missing, 428, "precondition-required")
    assert operator_api.delete(address, if_match=made["ETag"]).status_code == 204
    assert refused_with(operator_api.get(address), 404, "gateway:not-found")
    assert operator_api.post("/gateways", body).status_code == 201


def _join(capsys: pytest.CaptureFixture[str], *addresses: str) -> dict[str, Any]:
    arguments = [word for address in addresses for word in ("--gateway", address)]
    call_command("bootstrap_embedded", *arguments)
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


@pytest.fixture
def home(tmp_path: Path, settings: Any) -> Path:
    settings.HOME = tmp_path
    return tmp_path


def test_this_machine_joins_each_environment_once(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = ("staging=http://127.0.0.1:9001", "production=http://127.0.0.1:9002")
    first = _join(capsys, *both)
    assert first == _join(capsys, *both)
    assert (Host.objects.count(), Gateway.objects.count()) == (2, 2)
    for name in ("staging", "production"):
        token_file = Path(first["gateways"][name]["token_file"])
        assert token_file == home / "gateways" / name / "token"
        assert token_file.stat().st_mode & 0o777 == 0o600
        gateway = Gateway.objects.get(name=f"gateway-{name}")
        assert gateway.public_id == first["gateways"][name]["id"]
        assert gateway.token_hash == token_hash(token_file.read_text().strip())


def test_a_lost_token_is_replaced_and_a_new_port_is_noted(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = _join(capsys, "staging=http://127.0.0.1:9001")["gateways"]["staging"]
    Path(first["token_file"]).unlink()
    again = _join(capsys, "staging=http://127.0.0.1:9009")["gateways"]["staging"]
    assert (again["id"], again["address"]) == (first["id"], "http://127.0.0.1:9009")
    gateway = Gateway.objects.get()
    assert token_matches(Path(again["token_file"]).read_text().strip(), gateway.token_hash)


def test_joining_an_environment_that_is_not_there_says_so(home: Path) -> None:
    with pytest.raises(CommandError, match="There is no environment 'moon'"):
        call_command("bootstrap_embedded", "--gateway", "moon=http://127.0.0.1:1")
