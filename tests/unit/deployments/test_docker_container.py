"""What a replica's container is: confined, bounded, and without a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deployments.adapters import docker_container
from deployments.adapters.docker_container import Place
from deployments.ports import Limits, ReplicaPlan

PLACE = Place("owner-1", "hst_1", "10.0.0.7", 5.0)
PLAN = ReplicaPlan(
    replica="rep_01ABC",
    manifest=b"the manifest with its secrets",
    trust="dHJ1c3Q=",
    place_artifact=lambda folder: folder,
    limits=Limits(memory_bytes=512 * 1024**2, cpus=0.5, pids=64),
    image="sha256:abc",
    labels={"slipway.endpoint": "tumour", "slipway.owner": "somebody else"},
)


@pytest.fixture
def config() -> dict[str, Any]:
    return docker_container.config(PLAN, PLACE)


def test_it_runs_as_nobody_in_particular_and_can_change_nothing(config: dict[str, Any]) -> None:
    host = config["HostConfig"]
    assert config["User"] == "65532:65532"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert "CapAdd" not in host
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["Privileged"] is False
    assert "Binds" not in host
    assert "noexec" in host["Tmpfs"]["/tmp"]


def test_it_takes_no_more_than_the_release_says(config: dict[str, Any]) -> None:
    host = config["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 512 * 1024**2
    assert host["NanoCpus"] == 500_000_000
    assert host["PidsLimit"] == 64
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "2"}


def test_the_loop_restarts_it_and_nobody_else(config: dict[str, Any]) -> None:
    assert config["HostConfig"]["RestartPolicy"] == {"Name": "no"}
    assert config["HostConfig"]["AutoRemove"] is False


def test_its_ports_are_published_on_the_hosts_address_only(config: dict[str, Any]) -> None:
    bindings = config["HostConfig"]["PortBindings"]
    assert set(bindings) == {"8080/tcp", "8081/tcp"}
    assert all(each == [{"HostIp": "10.0.0.7", "HostPort": ""}] for each in bindings.values())


def test_it_is_labelled_as_ours_whatever_the_plan_says(config: dict[str, Any]) -> None:
    assert config["Labels"] == {
        "slipway.owner": "owner-1",
        "slipway.host": "hst_1",
        "slipway.replica": "rep_01ABC",
        "slipway.endpoint": "tumour",
    }


def test_its_input_is_given_once_and_the_manifest_is_nowhere_in_it(config: dict[str, Any]) -> None:
    assert (config["OpenStdin"], config["StdinOnce"], config["Tty"]) == (True, True, False)
    assert config["Env"] == []
    assert "the manifest" not in json.dumps(config)


def test_a_container_that_was_only_begun_is_no_replica() -> None:
    name = docker_container.name_of("rep_01ABC", begun=True)
    listed = {"Id": "1", "Names": [f"/{name}"], "State": "running", "Labels": {}}
    assert docker_container.is_begun(listed)
    seen = docker_container.begun(listed)
    assert (seen.running, seen.exit_code, seen.port) == (False, None, None)
    finished = listed | {"Names": [f"/{docker_container.name_of('rep_01ABC')}"]}
    assert not docker_container.is_begun(finished)


def test_an_inspected_container_is_told_like_a_listed_one() -> None:
    inspected = {
        "Id": "1",
        "Name": "/slipway-rep_01abc",
        "Config": {"Labels": {"slipway.replica": "rep_01ABC"}},
        "State": {"Status": "running", "Running": True},
        "NetworkSettings": {
            "Ports": {
                "8080/tcp": [{"HostIp": "10.0.0.7", "HostPort": "32768"}],
                "8081/tcp": [{"HostIp": "10.0.0.7", "HostPort": "32769"}],
                "9/tcp": None,
            }
        },
    }
    seen = docker_container.running(docker_container.as_listed(inspected))
    assert (seen.replica, seen.address, seen.port, seen.grpc_port, seen.instance) == (
        "rep_01ABC",
        "10.0.0.7",
        32768,
        32769,
        "1",
    )


@pytest.mark.parametrize(
    ("state", "exit_code", "out_of_memory"),
    [
        ({"Status": "exited", "Running": False, "ExitCode": 3}, 3, False),
        ({"Status": "exited", "Running": False, "ExitCode": 137, "OOMKilled": True}, 137, True),
        ({"Status": "created", "Running": False, "ExitCode": 0}, None, False),
    ],
)
def test_an_end_is_known_by_its_code(
    state: dict[str, Any], exit_code: int | None, out_of_memory: bool
) -> None:
    inspected = {"Id": "1", "Config": {"Labels": {}}, "State": state}
    seen = docker_container.ended(inspected)
    assert (seen.running, seen.exit_code, seen.out_of_memory) == (False, exit_code, out_of_memory)


def test_a_limit_that_the_kernel_does_not_keep_is_noticed() -> None:
    swap = "Your kernel does not support swap limit capabilities. Memory limited without swap."
    pids = "Your kernel does not support PIDs limit capabilities. PIDs limit discarded."
    assert docker_container.missing_limits(None) == ""
    assert docker_container.missing_limits([swap]) == ""
    assert docker_container.missing_limits([swap, pids]) == pids


def test_the_artifact_and_its_manifest_come_from_the_image(tmp_path: Path) -> None:
    command = docker_container.config(PLAN, PLACE)["Cmd"]
    assert command[command.index("--artifact") + 1] == "/slipway/artifact.slw"
    assert command[command.index("--version-manifest") + 1] == "/slipway/version.json"
    assert command[command.index("--name") + 1] == "hst_1/rep_01ABC"
