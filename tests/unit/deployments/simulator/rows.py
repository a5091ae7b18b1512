"""What the simulated control plane stores, and what each pass reads, perhaps too late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from deployments.domain.fleet import ReplicaState
from deployments.domain.rollout import Evidence, ReasonCode, Spec, Status
from deployments.domain.traffic import Shares
from deployments.domain.world import SmokeVerdict, Verdict


class Conflict(Exception):
    """The row has moved since it was read: nothing was written."""


@dataclass(frozen=True, slots=True)
class RolloutRow:
    id: int
    spec: Spec
    status: Status
    revision: int = 0
    approved_at: float = 0.0
    verdicts: Mapping[str, tuple[float, Verdict]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReplicaRow:
    id: str
    release: str
    slot: int
    host: str
    state: ReplicaState = ReplicaState.STARTING


@dataclass(frozen=True, slots=True)
class FailureRow:
    release: str
    replica: str
    code: ReasonCode
    at: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Its generation is its index."""

    shares: Shares
    clusters: frozenset[str]


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """What the control plane knows of one gateway; `acked` is None when it does not know."""

    name: str
    acked: int | None = None
    acked_at: float = 0.0
    rejected: int | None = None
    polled_at: float = 0.0


@dataclass(slots=True)
class Database:
    """Rows are immutable and the tables small, so a copy is a consistent read at one moment."""

    now: float = 0.0
    revision: int = 0
    stable: str | None = None
    stable_replicas: int = 0
    rollouts: dict[int, RolloutRow] = field(default_factory=dict)
    replicas: dict[str, ReplicaRow] = field(default_factory=dict)
    failures: tuple[FailureRow, ...] = ()
    smokes: dict[int, SmokeVerdict] = field(default_factory=dict)
    reached: dict[int, frozenset[str]] = field(default_factory=dict)
    unreached: dict[int, Evidence] = field(default_factory=dict)
    gateways: dict[str, GatewayRow] = field(default_factory=dict)
    silent_hosts: frozenset[str] = frozenset()
    snapshots: tuple[Snapshot, ...] = (Snapshot({}, frozenset()),)

    def read(self) -> Database:
        return replace(
            self,
            rollouts=dict(self.rollouts),
            replicas=dict(self.replicas),
            smokes=dict(self.smokes),
            reached=dict(self.reached),
            unreached=dict(self.unreached),
            gateways=dict(self.gateways),
        )

    def unfinished(self, without: int | None = None) -> list[tuple[Spec, Status]]:
        return [
            (row.spec, row.status)
            for row in self.rollouts.values()
            if row.status.phase != "done" and row.id != without
        ]
