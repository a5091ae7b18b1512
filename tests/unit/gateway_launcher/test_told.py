"""What the launcher is told, and what it tells Envoy about the listener."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from controlplane.gateway_launcher import identity, watched
from controlplane.gateway_launcher.bootstrap import bootstrap
from controlplane.gateway_launcher.identity import BadIdentity
from controlplane.gateway_launcher.replies import local_replies
from controlplane.gateway_launcher.settings import ListenerTls, parse
from core.pki import Authority, expires_at
from deployments.adapters import endpoint_keys
from deployments.domain import gateways, routing_access
from wire.identity import gateway as gateway_name

COMPLETE = (
    *("--web", "http://127.0.0.1:8000", "--listen", "127.0.0.1:8080", "--state", "/s"),
    *("--token-file", "/t", "--node-id", "gtw_1"),
)
PRODUCTION = ("--profile", "production", "--web", "https://slipway.example")


def listener(*more: str) -> dict[str, Any]:
    config = bootstrap(parse((*COMPLETE, *more)), token="t", local_port=5)
    found: dict[str, Any] = config["static_resources"]["listeners"][0]
    return found


def manager(*more: str) -> dict[str, Any]:
    (chain,) = listener(*more)["filter_chains"]
    found: dict[str, Any] = chain["filters"][0]["typed_config"]
    return found


@pytest.mark.parametrize(
    ("more", "tls"),
    [
        ((), ListenerTls.PLAIN),
        (("--tls",), ListenerTls.GENERATED),
        (("--tls", "generated"), ListenerTls.GENERATED),
        (("--tls-certificate", "/c", "--tls-key", "/k"), ListenerTls.FILES),
        (("--tls", "--tls-certificate", "/c", "--tls-key", "/k"), ListenerTls.FILES),
        (PRODUCTION, ListenerTls.GENERATED),
        ((*PRODUCTION, "--tls-certificate", "/c", "--tls-key", "/k"), ListenerTls.FILES),
    ],
    ids=str,
)
def test_what_clients_speak_to(more: tuple[str, ...], tls: ListenerTls) -> None:
    assert parse((*COMPLETE, *more)).tls is tls
    secured = "transport_socket" in listener(*more)["filter_chains"][0]
    assert secured == (tls is not ListenerTls.PLAIN)


@pytest.mark.parametrize(
    "more",
    [
        ("--tls", "sometimes"),
        ("--tls", "files"),
        ("--tls-certificate", "/c"),
        ("--tls-key", "/k"),
        ("--tls", "generated", "--tls-certificate", "/c", "--tls-key", "/k"),
        ("--profile", "production"),
        (*PRODUCTION, "--tls", "plain"),
        ("--web", "ftp://slipway.example"),
        ("--joined", "/nowhere.json"),
    ],
    ids=str,
)
def test_what_cannot_be_or_must_not_be_is_refused(
    more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse((*COMPLETE, *more))
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_the_profile_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_PROFILE", "production")
    with pytest.raises(SystemExit):
        parse(COMPLETE)


def test_who_it_is_may_be_in_the_file_that_joining_made(tmp_path: Path) -> None:
    joined = tmp_path / "joined.json"
    joined.write_text(json.dumps({"id": "gtw_7", "token_file": "token"}))
    settings = parse((*COMPLETE[:-4], "--joined", str(joined)))
    assert (settings.node_id, settings.token_file) == ("gtw_7", tmp_path / "token")
    with pytest.raises(SystemExit):
        parse(COMPLETE[:-2])


def test_the_filters_stand_in_their_order_and_a_silent_route_is_closed() -> None:
    filters = manager()["http_filters"]
    assert [each["name"] for each in filters] == [
        routing_access.KEYS,
        routing_access.GRPC_BODY,
        routing_access.MODEL,
        routing_access.ACCESS,
        routing_access.RATE,
        routing_access.QUOTA,
        routing_access.BODY,
        "envoy.filters.http.router",
    ]
    awake = [each["name"] for each in filters if not each.get("disabled")]
    assert awake == [routing_access.KEYS, routing_access.ACCESS, "envoy.filters.http.router"]
    denied = filters[3]["typed_config"]["matcher"]["on_no_match"]["action"]["typed_config"]
    assert denied["action"] == "DENY"


def test_what_is_ours_is_taken_off_before_anything_else_is_looked_at() -> None:
    (hygiene,) = manager()["early_header_mutation_extensions"]
    mutations = hygiene["typed_config"]["mutations"]
    assert {"remove_on_match": {"key_matcher": {"prefix": "x-slipway-"}}} in mutations
    assert {"remove": "x-release"} in mutations


def test_limits_are_what_was_told() -> None:
    told = ("--headers-seconds", "2", "--request-seconds", "3.5", "--idle-seconds", "4")
    found = manager(*told)
    assert found["request_headers_timeout"] == "2s"
    assert found["request_timeout"] == "3.5s"
    assert found["common_http_protocol_options"]["idle_timeout"] == "4s"
    overload = bootstrap(
        parse((*COMPLETE, "--connections", "9", "--memory-bytes", "99")), token="t", local_port=5
    )["overload_manager"]
    connections, heap = (each["typed_config"] for each in overload["resource_monitors"])
    assert connections["max_active_downstream_connections"] == 9
    assert heap["max_heap_size_bytes"] == 99


def test_no_key_can_be_logged() -> None:
    (log,) = manager("--access-log")["access_log"]
    fields = log["typed_config"]["log_format"]["json_format"]
    assert fields["key"] == "%REQ(x-slipway-key)%"
    assert "authorization" not in str(fields).lower()
    assert "api-key" not in str(fields).lower()


def test_each_refusal_is_said_over_both_transports() -> None:
    mappers = local_replies()["mappers"]
    assert len(mappers) % 2 == 0
    for over_grpc, over_http in zip(mappers[::2], mappers[1::2], strict=True):
        assert "text_format_source" in over_grpc["body_format_override"]
        assert list(over_http["body_format_override"]["json_format"]) == ["error"]


def test_web_may_be_known_by_an_authority_of_ones_own() -> None:
    def validation(*more: str) -> dict[str, Any]:
        config = bootstrap(parse((*COMPLETE, *more)), token="t", local_port=5)
        (match,) = config["static_resources"]["clusters"][0]["transport_socket_matches"]
        tls = match["transport_socket"]["typed_config"]["common_tls_context"]
        found: dict[str, Any] = tls["validation_context"]
        return found

    named = validation("--web", "https://web:8000", "--web-ca", "/ca.pem")
    assert named["trusted_ca"] == {"filename": "/ca.pem"}
    (name,) = named["match_typed_subject_alt_names"]
    assert name == {"san_type": "DNS", "matcher": {"exact": "web"}}
    numbered = validation("--web", "https://192.0.2.1:8000")
    assert numbered["match_typed_subject_alt_names"][0]["san_type"] == "IP_ADDRESS"


# --- who it is on the inner connections -----------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def answer(authority: Authority, csr: str) -> dict[str, Any]:
    certificate = authority.sign(csr, gateway_name("staging", "gtw_1"), hours=3)
    return {
        "certificate": certificate,
        "authority": authority.pem,
        "environment": "staging",
        "jwks": endpoint_keys.jwks(),
        "expires_at": expires_at(certificate),
    }


def test_an_identity_is_kept_privately_and_comes_back(authority: Authority, tmp_path: Path) -> None:
    asked = identity.new_request()
    found = identity.from_answer(asked.key, answer(authority, asked.csr), time.time())
    assert 0.9 * 3600 < found.due_at - time.time() < 1.1 * 3600
    path = tmp_path / "identity.json"
    identity.store(path, found)
    assert identity.load(path) == found
    assert path.stat().st_mode & 0o777 == 0o600
    assert asked.key not in repr(found)
    assert asked.key not in repr(asked)


def test_each_request_is_for_a_key_of_its_own() -> None:
    assert identity.new_request().key != identity.new_request().key


@pytest.mark.parametrize(
    "change",
    [
        {"certificate": None},
        {"certificate": "nothing"},
        {"authority": "nothing"},
        {"jwks": 5},
        {"expires_at": "soon"},
        {"environment": ...},
    ],
    ids=str,
)
def test_an_answer_that_is_none_is_refused(authority: Authority, change: dict[str, Any]) -> None:
    asked = identity.new_request()
    told = {**answer(authority, asked.csr), **change}
    told = {name: value for name, value in told.items() if value is not ...}
    with pytest.raises(BadIdentity):
        identity.from_answer(asked.key, told, 0.0)
    with pytest.raises(BadIdentity):
        identity.from_answer(asked.key, ["nothing"], 0.0)


def test_a_certificate_for_another_key_is_refused(authority: Authority) -> None:
    told = answer(authority, identity.new_request().csr)
    with pytest.raises(BadIdentity, match="another key"):
        identity.from_answer(identity.new_request().key, told, 0.0)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 1}', '{"format": 1, "key": "x"}'])
def test_a_spoilt_identity_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "identity.json").write_text(text)
    assert identity.load(tmp_path / "identity.json") is None


def test_what_envoy_watches_is_named_as_clusters_and_listener_name_it(
    authority: Authority, tmp_path: Path
) -> None:
    asked = identity.new_request()
    found = identity.from_answer(asked.key, answer(authority, asked.csr), time.time())
    watched.write_identity(tmp_path, found)
    watched.write_listener(tmp_path, found.certificate, found.key)
    for name in (
        gateways.OWN_CERTIFICATE,
        gateways.AUTHORITY,
        gateways.KEYS,
        gateways.LISTENER,
    ):
        path = tmp_path / gateways.watched_file(name)
        (resource,) = json.loads(path.read_text())["resources"]
        assert resource["name"] == name
        assert path.stat().st_mode & 0o777 == 0o600
    (keys,) = json.loads((tmp_path / gateways.watched_file(gateways.KEYS)).read_text())["resources"]
    (provider,) = keys["typed_config"]["providers"].values()
    assert provider["issuer"] == endpoint_keys.ISSUER
    assert provider["audiences"] == ["staging"]
    assert provider["require_expiration"] is True
    assert not provider.get("forward")
