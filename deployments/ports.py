"""What deployments needs from outside: hosts that run replicas, and a source of measurements.

Adapters implement these; the fakes in the tests pass the same contract tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from core.errors import Unavailable


class HostSilent(Unavailable):
    """The host did not answer in time. It may still run everything that it ran: silent is not
    empty, so nothing may be concluded about its replicas."""

    code = "host:silent"
    title = "The host does not answer"


@dataclass(frozen=True, slots=True)
class ReplicaPlan:
    """Everything that a host needs to run one replica.

    `manifest` is the signed release manifest; it goes to the replica's standard input and nowhere
    else. `place_artifact` puts the verified artifact into the folder that it is given.
    """

    replica: str
    manifest: bytes = field(repr=False)
    trust: str
    place_artifact: Callable[[Path], Path]


@dataclass(frozen=True, slots=True)
class ObservedReplica:
    """One replica as its host sees it. `exit_code` is None while it runs, or when it is unknown
    how it ended; address and port are known once it listens."""

    replica: str
    running: bool
    address: str = ""
    port: int | None = None
    boot_id: str = ""
    exit_code: int | None = None


class ContainerHost(Protocol):
    """Runs replicas. Every method may be repeated; every one may raise HostSilent."""

    def start(self, plan: ReplicaPlan) -> None:
        """Start this replica unless it runs or has already ended. Does not wait for it."""

    def observe(self) -> Mapping[str, ObservedReplica]:
        """Every replica of ours on this host, running or ended and not yet removed, by id."""

    def stop(self, replica: str, *, force: bool) -> None:
        """Ask it to stop gracefully, or end it at once with `force`. An absent one is stopped."""

    def remove(self, replica: str) -> None:
        """Delete what an ended replica left behind. A running one is left alone."""

    def log(self, replica: str, *, lines: int) -> str:
        """The last lines that it wrote; empty when there are none."""
