"""What one Slipway has on an Engine, as a whole: for whoever ends all of it, or takes it away.

Knows nothing of rows and needs no Django: the supervisor of an embedded stack uses it when there is
no database to ask, or none any more.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from deployments.adapters import docker_client
from deployments.adapters.docker_client import Engine
from deployments.adapters.docker_images import OWNER, DockerImages
from deployments.ports import HostRefused

_SECONDS = 10.0
_TURN = 0.1


def end_containers(address: str, owner: str, *, grace: float) -> int:
    """Ask every container of this owner to end, and remove them all after `grace` seconds; how many
    there were.

    Raises:
        HostSilent: the Engine does not answer, so they may still run.
    """
    engine = docker_client.engine(address, None, seconds=_SECONDS)
    found = _containers(engine, owner)
    for container in found:
        if container["State"] == "running":
            _quietly(engine, "kill", container["Id"], "SIGTERM")
    deadline = time.monotonic() + grace
    while _running(engine, owner) and time.monotonic() < deadline:
        time.sleep(_TURN)
    for container in _containers(engine, owner):
        _quietly(engine, "remove_container", container["Id"], v=True, force=True)
    return len(found)


def remove_images(address: str, owner: str) -> int:
    """Every image that this owner has built; one that cannot be removed stays. How many went.

    Raises:
        HostSilent.
    """
    images = DockerImages(docker_client.engine(address, None, seconds=_SECONDS), owner)
    gone = 0
    for image in images.ours():
        with suppress(HostRefused):
            images.remove_image(image.engine_id)
            gone += 1
    return gone


def _containers(engine: Engine, owner: str) -> list[dict[str, Any]]:
    with engine.talk():
        found: list[dict[str, Any]] = engine.quick.containers(
            all=True, filters={"label": f"{OWNER}={owner}"}
        )
    return found


def _running(engine: Engine, owner: str) -> bool:
    return any(each["State"] == "running" for each in _containers(engine, owner))


def _quietly(engine: Engine, verb: str, *arguments: Any, **options: Any) -> None:
    """Somebody else may have ended it meanwhile."""
    with suppress(HostRefused), engine.talk():
        getattr(engine.quick, verb)(*arguments, **options)
