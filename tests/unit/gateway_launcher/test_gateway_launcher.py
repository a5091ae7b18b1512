"""The launcher's pure parts and its small server; the contract tests run the whole program."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from controlplane.gateway_launcher import saved
from controlplane.gateway_launcher.bootstrap import bootstrap
from controlplane.gateway_launcher.files import read_json, write_private
from controlplane.gateway_launcher.local_xds import LocalXds
from controlplane.gateway_launcher.saved import CLUSTER_TYPE, ROUTE_TYPE, SavedResources
from controlplane.gateway_launcher.settings import parse, split_address

COMPLETE = (
    *("--web", "http://127.0.0.1:8000", "--listen", "127.0.0.1:8080", "--state", "/s"),
    *("--token-file", "/t", "--node-id", "gtw_1"),
)


def test_the_admin_has_no_port_and_the_token_is_in_the_metadata() -> None:
    config = bootstrap(parse(COMPLETE), token="secret", local_port=5)
    assert config["admin"]["address"] == {"pipe": {"path": "admin.sock", "mode": 0o600}}
    assert config["node"] == {
        "id": "gtw_1",
        "cluster": "gateway",
        "metadata": {"token": "secret"},
    }


def test_web_comes_first_and_the_own_disk_only_when_web_is_unhealthy() -> None:
    config = bootstrap(parse(COMPLETE), token="secret", local_port=5)
    (cluster,) = config["static_resources"]["clusters"]
    web, disk = cluster["load_assignment"]["endpoints"]
    assert (web["priority"], disk["priority"]) == (0, 1)
    assert "health_check_config" not in web["lb_endpoints"][0]["endpoint"]
    own = disk["lb_endpoints"][0]["endpoint"]
    assert own["health_check_config"] == {"disable_active_health_check": True}
    assert own["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 5}


def test_requests_are_not_logged_unless_asked_for() -> None:
    def manager(*more: str) -> dict[str, Any]:
        config = bootstrap(parse((*COMPLETE, *more)), token="t", local_port=5)
        (chain,) = config["static_resources"]["listeners"][0]["filter_chains"]
        found: dict[str, Any] = chain["filters"][0]["typed_config"]
        return found

    assert "access_log" not in manager()
    assert "access_log" in manager("--access-log")


def test_web_over_https_is_verified_and_the_own_disk_is_plain() -> None:
    settings = parse((*COMPLETE, "--web", "https://slipway.example"))
    (cluster,) = bootstrap(settings, token="t", local_port=5)["static_resources"]["clusters"]
    assert cluster["type"] == "STRICT_DNS"
    (match,) = cluster["transport_socket_matches"]
    context = match["transport_socket"]["typed_config"]["common_tls_context"]
    assert "trusted_ca" in context["validation_context"]
    marked = [
        e["lb_endpoints"][0]["metadata"]["filter_metadata"]["envoy.transport_socket_match"]["web"]
        for e in cluster["load_assignment"]["endpoints"]
    ]
    assert marked == [True, False]


@pytest.mark.parametrize("text", ["", "8080", "localhost:80", "127.0.0.1:", "127.0.0.1:70000"])
def test_what_is_no_address_and_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"--listen|port"):
        split_address(text)


def test_settings_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_GATEWAY_NODE_ID", "gtw_2")
    assert parse(COMPLETE[:-2]).node_id == "gtw_2"


def test_what_is_saved_is_what_envoy_accepted_and_the_newer_of_two() -> None:
    old, new = {"name": "a", "type": "old"}, {"name": "a", "type": "new"}
    dump = {
        "configs": [
            {
                "@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump",
                "version_info": "7",
                "static_clusters": [{"cluster": {"name": "slipway"}}],
                "dynamic_active_clusters": [{"cluster": old}],
                "dynamic_warming_clusters": [{"cluster": new}],
            },
            {
                "@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump",
                "dynamic_route_configs": [{"version_info": "9", "route_config": {"name": "m"}}],
            },
        ]
    }
    assert saved.from_config_dump(dump) == {
        CLUSTER_TYPE: SavedResources("7", [new]),
        ROUTE_TYPE: SavedResources("9", [{"name": "m"}]),
    }
    assert saved.from_config_dump({}) == {}


def test_a_saved_snapshot_is_private_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.json"
    kept = {CLUSTER_TYPE: SavedResources("7", [{"name": "a"}])}
    saved.store(path, kept)
    assert saved.load(path) == kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"format": 99}', '{"format": 1}', '{"format": 1, "types": {"a": 1}}'],
)
def test_a_spoilt_snapshot_is_no_snapshot(tmp_path: Path, content: str) -> None:
    path = tmp_path / "snapshot.json"
    path.write_text(content)
    assert saved.load(path) == {}


def test_writing_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x" * 1000)
    write_private(path, {"a": 1})
    assert read_json(path) == {"a": 1}


class Disk:
    def __init__(self) -> None:
        self.saved: dict[str, SavedResources] = {}
        self.server = LocalXds(lambda: self.saved, "secret", hold=0.0)

    async def poll(self, path: str, version: str = "", token: str = "secret") -> tuple[str, Any]:
        body = json.dumps({"version_info": version, "node": {"metadata": {"token": token}}})
        return await self.server._answer(path, body.encode())


@pytest.fixture
def disk() -> Disk:
    return Disk()


async def test_the_disk_serves_who_has_nothing_and_names_the_saved_generation(disk: Disk) -> None:
    disk.saved = {CLUSTER_TYPE: SavedResources("7", [{"name": "a"}])}
    status, answer = await disk.poll("/v3/discovery:clusters")
    assert status == "200 OK"
    assert (answer["version_info"], answer["resources"]) == ("7", [{"name": "a"}])
    status, answer = await disk.poll("/v3/discovery:routes")
    assert (status, answer["resources"]) == ("200 OK", [])


@pytest.mark.parametrize("version", ["6", "7", "8"])
async def test_the_disk_never_changes_a_running_gateway(disk: Disk, version: str) -> None:
    disk.saved = {CLUSTER_TYPE: SavedResources("7", [{"name": "a"}])}
    assert await disk.poll("/v3/discovery:clusters", version) == ("304 Not Modified", None)


async def test_an_empty_disk_serves_nothing(disk: Disk) -> None:
    assert await disk.poll("/v3/discovery:clusters") == ("304 Not Modified", None)


async def test_the_disk_serves_its_own_gateway_only(disk: Disk) -> None:
    disk.saved = {CLUSTER_TYPE: SavedResources("7", [])}
    assert (await disk.poll("/v3/discovery:clusters", token="guess"))[0] == "401 Unauthorized"
    assert (await disk.poll("/config"))[0] == "404 Not Found"
    assert (await disk.server._answer("/v3/discovery:routes", b"{"))[0] == "400 Bad Request"


async def test_a_client_that_leaves_or_talks_nonsense_harms_nothing(disk: Disk) -> None:
    for sent in (b"", b"nonsense\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nx"):
        reader = asyncio.StreamReader()
        reader.feed_data(sent)
        reader.feed_eof()
        closed = asyncio.Event()

        class Writer:
            def close(self, closed: asyncio.Event = closed) -> None:
                closed.set()

        await disk.server._serve(reader, Writer())  # type: ignore[arg-type]
        assert closed.is_set()
