"""What a replica's container is, as the Engine's API takes it and tells it. Nothing is asked here.

A container is `begun` until its manifest has been handed over; its name says so. Whoever dies in
between leaves one that is begun, and nobody takes that for a replica.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deployments.adapters.docker_client import text_of
from deployments.adapters.docker_images import OWNER
from deployments.ports import ObservedReplica, ReplicaPlan

HOST = "slipway.host"
REPLICA = "slipway.replica"
HTTP_PORT, GRPC_PORT = "8080/tcp", "8081/tcp"
USER = "65532:65532"
_BEGUN = "-begun"
_TEMPORARY_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Whose containers these are, and where their ports are published."""

    owner: str
    host: str
    publish_address: str
    drain_wait_seconds: float

    def labels(self, replica: str | None = None) -> dict[str, str]:
        mine = {OWNER: self.owner, HOST: self.host}
        return mine if replica is None else mine | {REPLICA: replica}


def name_of(replica: str, *, begun: bool = False) -> str:
    return f"slipway-{replica.lower()}{_BEGUN if begun else ''}"


def config(plan: ReplicaPlan, place: Place) -> dict[str, Any]:
    """Nothing secret is in here: everybody who reaches the Engine can read it."""
    limits = plan.limits
    return {
        "Image": plan.image,
        "Cmd": _command(plan, place),
        "User": USER,
        "Env": [],
        "Labels": {**plan.labels, **place.labels(plan.replica)},
        "ExposedPorts": {HTTP_PORT: {}, GRPC_PORT: {}},
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "Tty": False,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "NetworkMode": "bridge",
            "PortBindings": {
                port: [{"HostIp": place.publish_address, "HostPort": ""}]
                for port in (HTTP_PORT, GRPC_PORT)
            },
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "Privileged": False,
            "Init": False,
            "Memory": limits.memory_bytes,
            "MemorySwap": limits.memory_bytes,
            "NanoCpus": round(limits.cpus * 1e9),
            "PidsLimit": limits.pids,
            "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
            "RestartPolicy": {"Name": "no"},
            "AutoRemove": False,
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}},
            "Tmpfs": {"/tmp": f"rw,noexec,nosuid,nodev,size={_TEMPORARY_BYTES},mode=1777"},  # noqa: S108
        },
    }


def missing_limits(warnings: Iterable[str] | None) -> str:
    """The Engine's sentences about limits that its kernel cannot keep."""
    return " ".join(each for each in warnings or () if "discarded" in each.lower())


def is_begun(listed: Mapping[str, Any]) -> bool:
    return any(name.endswith(_BEGUN) for name in listed.get("Names") or ())


def replica_of(listed: Mapping[str, Any]) -> str:
    return text_of(listed.get("Labels"), REPLICA)


def begun(listed: Mapping[str, Any]) -> ObservedReplica:
    """It has no manifest, or nobody knows that it has: as good as never started."""
    return ObservedReplica(replica_of(listed), running=False, instance=listed["Id"])


def running(listed: Mapping[str, Any]) -> ObservedReplica:
    """From its line in the Engine's list, or from `as_listed`."""
    return ObservedReplica(
        replica=replica_of(listed),
        running=True,
        address=_published(listed, HTTP_PORT)[0],
        port=_published(listed, HTTP_PORT)[1],
        grpc_port=_published(listed, GRPC_PORT)[1],
        instance=listed["Id"],
    )


def ended(inspected: Mapping[str, Any]) -> ObservedReplica:
    state = inspected["State"]
    return ObservedReplica(
        replica=text_of(inspected["Config"].get("Labels"), REPLICA),
        running=bool(state["Running"]),
        exit_code=None if state["Running"] or state["Status"] == "created" else state["ExitCode"],
        instance=inspected["Id"],
        out_of_memory=bool(state.get("OOMKilled")),
    )


def as_listed(inspected: Mapping[str, Any]) -> dict[str, Any]:
    """An inspected container in the form of the list."""
    published = inspected["NetworkSettings"].get("Ports") or {}
    return {
        "Id": inspected["Id"],
        "Names": [inspected["Name"]],
        "Labels": inspected["Config"].get("Labels"),
        "State": inspected["State"]["Status"],
        "Ports": [
            {
                "IP": binding["HostIp"],
                "PrivatePort": int(port.partition("/")[0]),
                "PublicPort": int(binding["HostPort"]),
            }
            for port, bindings in published.items()
            for binding in bindings or ()
        ],
    }


def _published(listed: Mapping[str, Any], port: str) -> tuple[str, int | None]:
    inner = int(port.partition("/")[0])
    for each in listed.get("Ports") or ():
        if each.get("PrivatePort") == inner and each.get("PublicPort"):
            return str(each.get("IP", "")), int(each["PublicPort"])
    return "", None


def _command(plan: ReplicaPlan, place: Place) -> list[str]:
    return [
        *("serve", "--artifact", "/slipway/artifact.slw"),
        *("--version-manifest", "/slipway/version.json", "--trust", plan.trust),
        *("--name", f"{place.host}/{plan.replica}"),
        *("--bind", "0.0.0.0:8080", "--grpc-bind", "0.0.0.0:8081"),
        *("--drain-wait", str(place.drain_wait_seconds)),
    ]
