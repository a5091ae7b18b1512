"""A worker that starts a replica on a Docker host and is killed on the way, where it is told.

    python -m tests.contract.hosts.killed_worker POINT ENGINE OWNER HOST REPLICA IMAGE TRUST

The manifest comes on standard input.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import docker

from deployments.adapters import docker_client, docker_dial, docker_host
from deployments.adapters.docker_client import Engine
from deployments.adapters.docker_host import DockerHost
from deployments.ports import Limits, ReplicaPlan

POINTS = ("created", "attached", "started", "half given", "given", "renamed")


def die(*_: Any) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def dies_after(owner: Any, name: str) -> None:
    function = getattr(owner, name)

    def then_die(*given: Any, **named: Any) -> NoReturn:
        function(*given, **named)
        die()

    setattr(owner, name, then_die)


class HalfPipe:
    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe

    def sendall(self, data: bytes) -> NoReturn:
        self._pipe.sendall(data[: len(data) // 2])
        die()


def set_up(point: str) -> None:
    attach = Engine.standard_input

    @contextmanager
    def attach_and_die(engine: Engine, container: str) -> Iterator[Any]:
        with attach(engine, container) as pipe:
            if point == "attached":
                die()
            yield HalfPipe(pipe)

    match point:
        case "created":
            dies_after(DockerHost, "_create")
        case "attached" | "half given":
            Engine.standard_input = attach_and_die  # type: ignore[assignment, method-assign]
        case "started":
            dies_after(docker.APIClient, "start")
        case "given":
            dies_after(docker_dial, "end_writing")
        case "renamed":
            dies_after(docker.APIClient, "rename")
        case _:
            raise SystemExit(f"there is no point {point!r}")


def main() -> None:
    point, engine, owner, name, replica, image, trust = sys.argv[1:]
    set_up(point)
    host = docker_host.DockerHost(
        engine=docker_client.engine(engine, None, seconds=20.0),
        owner=owner,
        name=name,
        publish_address="127.0.0.1",
        base_image="",
        drain_wait_seconds=0.1,
    )
    manifest = sys.stdin.buffer.read()
    limits = Limits(1024**3, 1.0, 128)
    host.start(ReplicaPlan(replica, manifest, trust, lambda folder: folder, limits, image))


if __name__ == "__main__":
    main()
