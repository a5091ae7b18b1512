"""What deployments needs from outside: hosts that run replicas, engines that hold images, and a
source of measurements.

Adapters implement these; the fakes in the tests pass the same contract tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from core.errors import Broken, Unavailable


class HostSilent(Unavailable):
    """The host did not answer in time. It may still run everything that it ran: silent is not
    empty, so nothing may be concluded about its replicas."""

    code = "host:silent"
    title = "The host does not answer"


class HostRefused(Broken):
    """The host answered, and will not do it: no room, no such image, a bad request. The detail is
    its own sentence."""

    code = "host:refused"
    title = "The host refused"


class ImageMissing(HostRefused):
    """The host does not have the image (any more)."""

    code = "host:image-missing"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one replica may take: bytes, processors, processes and threads."""

    memory_bytes: int
    cpus: float
    pids: int


@dataclass(frozen=True, slots=True)
class ReplicaPlan:
    """Everything that a host needs to run one replica.

    `manifest` is the signed release manifest; it goes to the replica's standard input and nowhere
    else. A process host has the encrypted artifact placed into a folder by `place_artifact`; a
    Docker host runs `image`, the engine's id of the image that holds it. `labels` say whose the
    replica is, without secrets.
    """

    replica: str
    manifest: bytes = field(repr=False)
    trust: str
    place_artifact: Callable[[Path], Path]
    limits: Limits
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObservedReplica:
    """One replica as its host sees it. `exit_code` is None while it runs, or when it is unknown
    how it ended; address and ports are known once it listens. `instance` is the host's own name
    of what runs it: a container id, a process id."""

    replica: str
    running: bool
    address: str = ""
    port: int | None = None
    grpc_port: int | None = None
    boot_id: str = ""
    exit_code: int | None = None
    instance: str = ""
    out_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host says about itself. Zero and empty mean not known."""

    engine_version: str = ""
    os: str = ""
    cpus: int = 0
    memory_bytes: int = 0
    base_id: str = ""  # the engine's id of the model server's base image, if it has it
    security: tuple[str, ...] = ()  # what it confines containers with: seccomp, userns, rootless
    unbounded: tuple[str, ...] = ()  # what its kernel cannot bound: memory, processors, processes

    def to_json(self) -> dict[str, object]:
        return {
            "engine_version": self.engine_version,
            "os": self.os,
            "cpus": self.cpus,
            "memory_bytes": self.memory_bytes,
            "base_id": self.base_id,
            "security": list(self.security),
            "unbounded": list(self.unbounded),
        }


class ContainerHost(Protocol):
    """Runs replicas. Every method may be repeated; every one may raise HostSilent."""

    def start(self, plan: ReplicaPlan) -> ObservedReplica | None:
        """Start this replica unless it runs or has already ended, and say where it is if that is
        known at once. Does not wait for it to listen.

        Raises:
            ImageMissing, HostRefused.
        """

    def observe(self) -> Mapping[str, ObservedReplica]:
        """Every replica of ours on this host, running or ended and not yet removed, by id."""

    def facts(self) -> HostFacts:
        """What the host is and has."""

    def stop(self, replica: str, *, force: bool) -> None:
        """Ask it to stop gracefully, or end it at once with `force`. An absent one is stopped."""

    def remove(self, replica: str) -> None:
        """Delete what an ended replica left behind. A running one is left alone."""

    def log(self, replica: str, *, lines: int) -> str:
        """The last lines that it wrote; empty when there are none."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image of ours on an engine. `image` is the public id of its row, by its label."""

    image: str
    engine_id: str
    size: int
    in_use: bool  # a container of anybody's was made from it


class ImageStore(Protocol):
    """An engine that holds images. Every method may be repeated; every one may raise HostSilent
    or HostRefused. Only images with our ownership label are ever listed or removed."""

    def id_of(self, reference: str) -> str:
        """The engine's id of this image; empty when it is not there."""

    def build(self, context: Iterable[bytes], *, tag: str, labels: Mapping[str, str]) -> Build:
        """Build a tar with a Dockerfile."""

    def save(self, engine_id: str) -> Iterator[bytes]:
        """The image as `docker save` streams it."""

    def load(self, stream: Iterable[bytes]) -> None:
        """Take in what `save` gave."""

    def push(self, engine_id: str, repository: str) -> str:
        """To the configured registry; the reference by digest."""

    def pull(self, reference: str) -> None:
        """From the configured registry."""

    def ours(self) -> list[StoredImage]:
        """The images that this Slipway has built."""

    def remove_image(self, engine_id: str) -> None:
        """Delete an image of ours that no container uses.

        Raises:
            HostRefused: it is in use, or not ours.
        """


class Build(Protocol):
    """A running build: iterate over its log lines, then ask for the result."""

    def __iter__(self) -> Iterator[str]: ...

    def result(self) -> str:
        """The engine's id of what was built, once the lines are used up.

        Raises:
            HostRefused: the build failed; its last line says why.
        """
