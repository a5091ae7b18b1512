"""Replicas as containers on a Docker Engine.

There is no list of what runs: the Engine's own, of the containers with our labels, is the only
truth. A replica's manifest goes to its standard input and nowhere else; a container is renamed to
what the replica is called when the manifest has been handed over, so that a worker killed between
two lines leaves either nothing, or something that is seen to be half done and is replaced.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deployments.adapters import docker_client, docker_container, docker_dial
from deployments.adapters.docker_container import Place
from deployments.adapters.docker_images import OWNER, DockerImages
from deployments.ports import HostFacts, HostRefused, HostSilent, ObservedReplica, ReplicaPlan

# In time limits of the Engine: starting a container takes longer than answering, and whoever began
# a replica has ended after this long, so that what is half done then belongs to nobody.
_START_LIMITS = 3
_ABANDONED_LIMITS = 6
_TAIL_BYTES = 256 * 1024
_POLL_SECONDS = 0.1
# What an Engine says about the limits that its kernel can keep.
_LIMITS = {"memory": "MemoryLimit", "processors": "CpuCfsQuota", "processes": "PidsLimit"}
_UP = ("running", "paused")


@dataclass(frozen=True, slots=True)
class DockerHost(DockerImages):
    """Implements ports.ContainerHost and ports.ImageStore. `name` is the host's public id.

    `waits_to_close`: closing a connection could lose what was sent through it last.
    """

    name: str
    publish_address: str
    base_image: str
    drain_wait_seconds: float
    waits_to_close: bool = False

    def start(self, plan: ReplicaPlan) -> ObservedReplica | None:
        for found in self._listed(plan.replica):
            if not docker_container.is_begun(found):
                is_up = found["State"] in _UP
                return docker_container.running(found) if is_up else None
            if not self._is_abandoned(found):
                return None  # somebody is at it
            self._discard(found["Id"])
        container = self._create(plan)
        if container is None:
            return None
        try:
            return self._bring_up(container, plan)
        except HostRefused as problem:
            self._discard(container)
            if docker_client.is_absent(problem):
                return None  # somebody else took it for abandoned
            raise

    def observe(self) -> Mapping[str, ObservedReplica]:
        found: dict[str, ObservedReplica] = {}
        try:
            for listed in self._listed():
                seen = self._seen(listed)
                # Of two, the one that may answer requests counts.
                if seen and seen.replica and (seen.running or seen.replica not in found):
                    found[seen.replica] = seen
        except HostRefused as problem:
            raise HostSilent(f"The Engine does not say what it runs: {problem.detail}") from problem
        return found

    def facts(self) -> HostFacts:
        with self.engine.talk():
            info = self.engine.quick.info()
        options = [str(each) for each in info.get("SecurityOptions") or ()]
        return HostFacts(
            engine_version=str(info.get("ServerVersion", "")),
            os=f"{info.get('OperatingSystem', '')} {info.get('Architecture', '')}".strip(),
            cpus=int(info.get("NCPU", 0)),
            memory_bytes=int(info.get("MemTotal", 0)),
            base_id=self.id_of(self.base_image),
            security=tuple(each.partition("name=")[2].partition(",")[0] for each in options),
            unbounded=tuple(what for what, flag in _LIMITS.items() if not info.get(flag, True)),
        )

    def stop(self, replica: str, *, force: bool) -> None:
        for found in self._listed(replica):
            if found["State"] in _UP:
                with _unless_gone(), self.engine.talk():
                    self.engine.quick.kill(found["Id"], "SIGKILL" if force else "SIGTERM")

    def remove(self, replica: str) -> None:
        for found in self._listed(replica):
            if docker_container.is_begun(found):
                self._discard(found["Id"])
            elif found["State"] not in _UP:
                with _unless_gone(), self.engine.talk():
                    self.engine.quick.remove_container(found["Id"], v=True)

    def log(self, replica: str, *, lines: int) -> str:
        text = b""
        for found in self._listed(replica):
            with _unless_gone(), self.engine.talk():
                text = self.engine.quick.logs(found["Id"], tail=lines)
        return text[-_TAIL_BYTES:].decode(errors="replace").strip("\n")

    # --- starting -----------------------------------------------------------------------------

    def _create(self, plan: ReplicaPlan) -> str | None:
        """The container's id; None when somebody else is creating it."""
        name = docker_container.name_of(plan.replica, begun=True)
        try:
            with self.engine.talk():
                config = docker_container.config(plan, self._place())
                made = self.engine.quick.create_container_from_config(config, name)  # type: ignore[no-untyped-call]
        except HostRefused as problem:
            if docker_client.is_conflict(problem) and not self._is_strangers(name):
                return None
            raise
        container = str(made["Id"])
        if problems := docker_container.missing_limits(made.get("Warnings")):
            self._discard(container)
            raise HostRefused(f"The Engine cannot bound what a replica takes: {problems}")
        return container

    def _bring_up(self, container: str, plan: ReplicaPlan) -> ObservedReplica:
        """Attached first: nothing that it is given may be lost."""
        with self.engine.standard_input(container) as pipe:
            with self.engine.talk():
                self.engine.client(_START_LIMITS * self.engine.seconds).start(container)
            pipe.sendall(plan.manifest)
            docker_dial.end_writing(pipe)
            if self.waits_to_close:
                self._until_it_was_read(container)
        with self.engine.talk():
            self.engine.quick.rename(container, docker_container.name_of(plan.replica))
            inspected = self.engine.quick.inspect_container(container)
        if not inspected["State"]["Running"]:
            return docker_container.ended(inspected)
        return docker_container.running(docker_container.as_listed(inspected))

    def _until_it_was_read(self, container: str) -> None:
        """A replica writes its first line, or ends, when it has read its manifest."""
        deadline = time.monotonic() + _START_LIMITS * self.engine.seconds
        while time.monotonic() < deadline:
            with self.engine.talk():
                is_up = self.engine.quick.inspect_container(container)["State"]["Running"]
                if not is_up or self.engine.quick.logs(container, tail=1):
                    return
            time.sleep(_POLL_SECONDS)
        raise HostSilent("The container did not read its manifest in time.")

    def _is_abandoned(self, found: Mapping[str, Any]) -> bool:
        """One that has ended was given no whole manifest. One that is old has outlived whoever
        began it, by the Engine's own clock."""
        if found["State"] not in ("created", "running"):
            return True
        with self.engine.talk():
            now = datetime.fromisoformat(self.engine.quick.info()["SystemTime"])
        age = now.timestamp() - float(found["Created"])
        return age > _ABANDONED_LIMITS * self.engine.seconds

    def _is_strangers(self, name: str) -> bool:
        try:
            with self.engine.talk():
                labels = self.engine.quick.inspect_container(name)["Config"].get("Labels")
        except HostRefused as problem:
            if docker_client.is_absent(problem):
                return False  # its name is taken before it can be seen
            raise
        return docker_client.text_of(labels, OWNER) != self.owner

    def _discard(self, container: str) -> None:
        with _unless_gone(), self.engine.talk():
            self.engine.quick.remove_container(container, v=True, force=True)

    # --- looking ------------------------------------------------------------------------------

    def _listed(self, replica: str | None = None) -> list[dict[str, Any]]:
        labels = [f"{name}={value}" for name, value in self._place().labels(replica).items()]
        with self.engine.talk():
            found: list[dict[str, Any]] = self.engine.quick.containers(
                all=True, filters={"label": labels}
            )
        return found

    def _seen(self, listed: Mapping[str, Any]) -> ObservedReplica | None:
        if docker_container.is_begun(listed):
            return docker_container.begun(listed)
        if listed["State"] in _UP:
            return docker_container.running(listed)
        try:
            with self.engine.talk():
                return docker_container.ended(self.engine.quick.inspect_container(listed["Id"]))
        except HostRefused as problem:
            if docker_client.is_absent(problem):
                return None  # removed meanwhile
            raise

    def _place(self) -> Place:
        return Place(self.owner, self.name, self.publish_address, self.drain_wait_seconds)


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Ends quietly where there is nothing left to do it to."""
    try:
        yield
    except HostRefused as problem:
        if not (docker_client.is_absent(problem) or docker_client.is_conflict(problem)):
            raise
