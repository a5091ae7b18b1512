"""`slipway host …`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.fakes.slipway_api import FakeSlipway, answer
from tests.unit.cli.conftest import Slipway

HOST = {
    "id": "hst_1",
    "name": "north",
    "environment": "staging",
    "kind": "docker",
    "address": "tcp://10.0.0.7:2376",
    "publish_address": "10.0.0.7",
    "engine": {"version": "20.10.24", "has_base_image": True},
    "capacity": 8,
    "replicas": 3,
    "free": 5,
    "state": "ok",
    "last_contact_at": None,
    "last_error": "",
}


def listed(*hosts: dict[str, Any]) -> Any:
    return answer({"items": list(hosts), "next_cursor": None})


def test_hosts_are_listed_with_their_room_and_what_is_wrong(
    api: FakeSlipway, slipway: Slipway
) -> None:
    silent = HOST | {"name": "south", "state": "silent", "last_error": "No route to host"}
    api.answers = [listed(HOST, silent)]
    ended = slipway("host", "list")
    assert ended.code == 0
    for words in ("north", "3/8", "20.10.24", "south", "silent", "No route to host"):
        assert words in ended.out


def test_adding_a_host_says_that_it_makes_somebody_root(api: FakeSlipway, slipway: Slipway) -> None:
    api.answers = [answer(HOST, 201)]
    ended = slipway("host", "add", "north", "ssh://root@10.0.0.7", "--publish-address", "10.0.0.7")
    assert ended.code == 0
    assert "is root on its machine" in ended.err
    assert "Engine 20.10.24" in ended.out
    assert json.loads(api.requests[0].content) == {
        "name": "north",
        "environment": "staging",
        "kind": "docker",
        "address": "ssh://root@10.0.0.7",
        "publish_address": "10.0.0.7",
    }


def test_certificates_come_from_files_and_all_three_together(
    api: FakeSlipway, slipway: Slipway, tmp_path: Path
) -> None:
    words = []
    for option in ("ca", "cert", "key"):
        (tmp_path / option).write_text(f"the {option}")
        words += [f"--tls-{option}", str(tmp_path / option)]
    api.answers = [answer(HOST, 201)]
    assert slipway("host", "add", "north", "tcp://10.0.0.7:2376", *words).code == 0
    assert json.loads(api.requests[0].content)["tls"] == {
        "authority": "the ca",
        "certificate": "the cert",
        "key": "the key",
    }
    assert slipway("host", "add", "north", "tcp://10.0.0.7:2376", *words[:4]).code == 2
    assert len(api.requests) == 1


def test_a_host_is_edited_by_its_name(api: FakeSlipway, slipway: Slipway) -> None:
    elsewhere = HOST | {"id": "hst_2", "environment": "production"}
    api.answers = [listed(elsewhere, HOST), answer(HOST | {"capacity": 4})]
    ended = slipway("host", "edit", "north", "--capacity", "4")
    assert ended.code == 0
    assert api.requests[1].url.path == "/api/v1/hosts/hst_1"
    assert json.loads(api.requests[1].content) == {"capacity": 4}
    assert slipway("host", "edit", "north").code == 2


def test_the_replicas_of_a_silent_host_are_given_up_with_a_reason(
    api: FakeSlipway, slipway: Slipway
) -> None:
    api.answers = [answer(HOST), answer({"replaced": 3})]
    ended = slipway("host", "replace-replicas", "hst_1", "--reason", "it burns")
    assert ended.code == 0
    assert "3 replica(s) of north are replaced elsewhere" in ended.out
    assert json.loads(api.requests[1].content) == {"reason": "it burns"}


def test_a_host_is_removed(api: FakeSlipway, slipway: Slipway) -> None:
    api.answers = [listed(HOST), answer(None, 204)]
    ended = slipway("host", "remove", "north")
    assert (ended.code, api.requests[1].method) == (0, "DELETE")


def test_a_host_that_is_not_there_is_named(api: FakeSlipway, slipway: Slipway) -> None:
    api.answers = [listed(HOST)]
    ended = slipway("host", "show", "south")
    assert ended.code == 1
    assert "There is no host 'south' in staging" in ended.err


def test_a_host_without_the_base_image_says_what_to_do(api: FakeSlipway, slipway: Slipway) -> None:
    api.answers = [answer(HOST | {"engine": {"version": "20.10.24", "has_base_image": False}})]
    assert "make base-image" in slipway("host", "show", "hst_1").out
