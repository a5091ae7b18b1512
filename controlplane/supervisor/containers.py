"""The containers of this home on this machine's Docker Engine: ended when the stack goes down.

A replica in a container outlives every program here, like one that is a process. Which Engine was
used is kept in the home, so that a later stop finds what an earlier start has left.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from controlplane.supervisor.config import StackConfig
from controlplane.supervisor.errors import CannotStart

_GRACE = 1.0


def remember(config: StackConfig) -> None:
    """Which Engine this home uses, before anything runs on it.

    Raises CannotStart when it does not answer.
    """
    if not config.engine:
        return
    from core import installation  # noqa: PLC0415 - a stack of processes needs none of it
    from deployments.adapters import docker_leftovers  # noqa: PLC0415
    from deployments.ports import HostRefused, HostSilent  # noqa: PLC0415

    try:
        # Whatever of this home an earlier run has left there.
        docker_leftovers.end_containers(
            config.engine, installation.identity(config.home), grace=_GRACE
        )
    except (HostSilent, HostRefused) as problem:
        raise CannotStart(
            f"No Docker Engine answers at {config.engine} ({problem.detail.rstrip('.')}):"
            " start one (make services), or leave DEMO_HOST away."
        ) from problem
    _mark(config.home).write_text(config.engine)


def end(home: Path) -> int:
    """End this home's containers; how many there were. Where the Engine is silent nobody can."""
    return _on_its_engine(home, images=False)


def wipe(home: Path) -> None:
    """End its containers and remove its images: with the home goes the name that they bear."""
    _on_its_engine(home, images=True)
    _mark(home).unlink(missing_ok=True)


def _on_its_engine(home: Path, *, images: bool) -> int:
    mark, name = _mark(home), home / "installation"
    if not (mark.exists() and name.exists()):
        return 0
    from deployments.adapters import docker_leftovers  # noqa: PLC0415 - as above
    from deployments.ports import HostRefused, HostSilent  # noqa: PLC0415

    address, owner = mark.read_text().strip(), name.read_text().strip()
    with suppress(HostSilent, HostRefused):
        ended = docker_leftovers.end_containers(address, owner, grace=_GRACE)
        if images:
            docker_leftovers.remove_images(address, owner)
        return ended
    return 0


def _mark(home: Path) -> Path:
    return home / "run" / "engine"
