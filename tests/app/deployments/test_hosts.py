"""Docker hosts: added after their Engine was asked, edited, given up, removed."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from deployments.adapters import hosts as adapters
from deployments.models import Host
from deployments.ports import HostFacts, HostSilent
from governance.models import AuditEvent
from tests.factories.api import Api, refused_with
from tests.factories.certificates import Pair, authority, issue

pytestmark = pytest.mark.django_db

FACTS = HostFacts("20.10.24", "Debian", 4, 8 * 1024**3, "sha256:base", ("seccomp",))


@pytest.fixture(autouse=True)
def _first_environments(db: None) -> None:
    import_module("deployments.migrations.0004_first_environments").create(apps, None)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[Host]:
    """Every Engine answers; the rows with which it was asked."""
    asked: list[Host] = []

    class Answering:
        def facts(self) -> HostFacts:
            return FACTS

    def connect(host: Host) -> Answering:
        asked.append(host)
        return Answering()

    monkeypatch.setattr(adapters, "connect", connect)
    return asked


@pytest.fixture(scope="module")
def ca() -> Pair:
    return authority()


@pytest.fixture
def tls(ca: Pair) -> dict[str, str]:
    mine = issue(ca, "slipway", client=True)
    return {"authority": ca.certificate, "certificate": mine.certificate, "key": mine.key}


def docker(**more: Any) -> dict[str, Any]:
    body = {"environment": "staging", "name": "far", "kind": "docker"}
    return body | {"address": "unix:///var/run/docker.sock"} | more


def test_a_docker_host_says_what_its_engine_said(operator_api: Api, engine: list[Host]) -> None:
    made = operator_api.post("/hosts", docker(capacity=8))
    assert made.status_code == 201, made.content
    host = made.json()
    assert (host["kind"], host["state"], host["free"]) == ("docker", "ok", 8)
    assert host["publish_address"] == "127.0.0.1"
    assert host["engine"] == {
        "version": "20.10.24",
        "os": "Debian",
        "cpus": 4,
        "memory_bytes": 8 * 1024**3,
        "has_base_image": True,
        "security": ["seccomp"],
    }
    assert len(engine) == 1
    assert operator_api.get(f"/hosts/{host['id']}").json() == host


def test_an_engine_that_is_not_reached_is_no_host(
    operator_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(host: Host) -> Any:
        raise HostSilent("The Engine is not reached: No route to host")

    monkeypatch.setattr(adapters, "connect", connect)
    answer = operator_api.post("/hosts", docker())
    assert refused_with(answer, 422, "engine_not_reached")
    assert "No route to host" in answer.json()["detail"]
    assert not Host.objects.exists()


def test_an_engine_without_limits_is_no_host(
    operator_api: Api, engine: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.FACTS", HostFacts("20.10.24", unbounded=("processes",)))
    answer = operator_api.post("/hosts", docker())
    assert refused_with(answer, 422, "engine_without_limits")
    assert "processes" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"address": ""}, "required"),
        ({"address": "http://10.0.0.7:2375"}, "invalid_address"),
        ({"address": "tcp://10.0.0.7:2375"}, "plain_transport"),
        ({"address": "ssh://host-1"}, "invalid_publish_address"),
        ({"publish_address": "0.0.0.0"}, "invalid_publish_address"),
        ({"address": "ssh://10.0.0.7", "publish_address": "127.0.0.1"}, "invalid_publish_address"),
        ({"kind": "process"}, "unexpected_address"),
        ({"kind": "swarm"}, "invalid_choice"),
        ({"capacity": 0}, "min_value"),
    ],
)
def test_what_cannot_be_is_refused_before_anybody_is_asked(
    operator_api: Api, engine: list[Host], sent: dict[str, Any], code: str
) -> None:
    answer = operator_api.post("/hosts", docker(**sent))
    assert answer.status_code == 422
    assert code in {answer.json()["code"], *(each["code"] for each in answer.json()["errors"])}
    assert engine == []


def test_plain_tcp_is_for_this_machine_or_by_a_setting(
    operator_api: Api, engine: list[Host], settings: Any
) -> None:
    here = operator_api.post("/hosts", docker(address="tcp://127.0.0.1:2375"))
    assert here.status_code == 201, here.content
    far = docker(name="further", address="tcp://10.0.0.7:2375")
    assert refused_with(operator_api.post("/hosts", far), 422, "plain_transport")
    settings.CONFIG = settings.CONFIG.model_copy(update={"allow_plain_tcp_hosts": True})
    assert operator_api.post("/hosts", far).status_code == 201


def test_a_plain_host_is_silent_once_the_setting_is_gone(settings: Any) -> None:
    host = Host(kind="docker", address="tcp://10.0.0.7:2375", publish_address="10.0.0.7")
    with pytest.raises(HostSilent, match="not allowed"):
        adapters.connect(host)
    settings.CONFIG = settings.CONFIG.model_copy(update={"allow_plain_tcp_hosts": True})
    adapters.connect(host)


def test_credentials_are_kept_sealed_and_shown_to_nobody(
    operator_api: Api, engine: list[Host], tls: dict[str, str], settings: Any
) -> None:
    made = operator_api.post("/hosts", docker(address="tcp://10.0.0.7:2376", tls=tls))
    assert made.status_code == 201, made.content
    assert made.json()["has_credentials"] is True
    row = Host.objects.get()
    line = tls["key"].splitlines()[1]
    assert line not in json.dumps(row.sealed_tls)
    assert line not in made.content.decode()
    assert all(line not in event.body for event in AuditEvent.objects.all())
    opened = json.loads(settings.KEYS.unseal("engine-tls", row.sealed_tls, row.pk))
    assert opened == tls


def test_credentials_of_one_host_do_not_open_for_another(
    operator_api: Api, engine: list[Host], tls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    operator_api.post("/hosts", docker(address="tcp://10.0.0.7:2376", tls=tls))
    monkeypatch.undo()
    row = Host.objects.get()
    adapters.connect(row)
    stranger = Host(kind="docker", address=row.address, sealed_tls=row.sealed_tls)
    with pytest.raises(HostSilent, match="cannot be opened"):
        adapters.connect(stranger)


def test_a_key_that_is_not_the_certificates_is_refused(
    operator_api: Api, engine: list[Host], tls: dict[str, str], ca: Pair
) -> None:
    other = issue(ca, "somebody", client=True)
    wrong = [tls | {"key": other.key}, tls | {"key": "x"}, tls | {"authority": "x"}]
    for given in wrong:
        answer = operator_api.post("/hosts", docker(address="tcp://10.0.0.7:2376", tls=given))
        assert refused_with(answer, 422, "invalid_credentials")
    over_ssh = docker(address="ssh://10.0.0.7", tls=tls)
    assert refused_with(operator_api.post("/hosts", over_ssh), 422, "unexpected_credentials")
    assert engine == []


def test_only_operators_add_and_change_hosts(
    alice_api: Api, charlie_api: Api, mallory_api: Api, operator_api: Api, engine: list[Host]
) -> None:
    host = operator_api.post("/hosts", docker()).json()["id"]
    for who in (alice_api, charlie_api):
        assert refused_with(who.post("/hosts", docker(name="mine")), 403, "auth:not-allowed")
        change = who.patch(f"/hosts/{host}", {"capacity": 1}, if_match="*")
        assert refused_with(change, 403, "auth:not-allowed")
        replace = who.post(f"/hosts/{host}/replace-replicas", {})
        assert refused_with(replace, 403, "auth:not-allowed")
    assert mallory_api.patch(f"/hosts/{host}", {"capacity": 1}, if_match="*").status_code in (
        403,
        404,
    )
    assert len(engine) == 1


def test_capacity_and_publish_address_change_without_asking_and_credentials_with(
    operator_api: Api, engine: list[Host], tls: dict[str, str], ca: Pair
) -> None:
    made = operator_api.post("/hosts", docker(address="tcp://10.0.0.7:2376", tls=tls)).json()
    path = f"/hosts/{made['id']}"
    changed = operator_api.patch(
        path, {"capacity": 3, "publish_address": "10.0.0.8"}, if_match='"v1"'
    )
    assert changed.status_code == 200, changed.content
    assert (changed.json()["capacity"], changed.json()["publish_address"]) == (3, "10.0.0.8")
    assert len(engine) == 1
    before = Host.objects.get().sealed_tls
    fresh = issue(ca, "slipway", client=True)
    renewed = tls | {"certificate": fresh.certificate, "key": fresh.key}
    answer = operator_api.patch(path, {"tls": renewed}, if_match='"v2"')
    assert answer.status_code == 200, answer.content
    assert answer.json()["publish_address"] == "10.0.0.8"
    assert Host.objects.get().sealed_tls != before
    assert len(engine) == 2
    stale = operator_api.patch(path, {"capacity": 4}, if_match='"v1"')
    assert refused_with(stale, 412, "stale")


def test_a_host_of_kind_process_has_no_engine_to_edit(operator_api: Api) -> None:
    made = operator_api.post("/hosts", {"environment": "staging", "name": "local"}).json()
    path = f"/hosts/{made['id']}"
    answer = operator_api.patch(path, {"publish_address": "10.0.0.8"}, if_match="*")
    assert refused_with(answer, 422, "unexpected_address")
    assert operator_api.patch(path, {"capacity": 5}, if_match="*").json()["capacity"] == 5
