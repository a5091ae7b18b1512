"""What pages and API are given: plain frozen values. Ids are public; nothing here runs a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Running:
    """Where a version is the stable release."""

    environment: str
    version: int


@dataclass(frozen=True, slots=True)
class ModelRow:
    id: str
    name: str
    team: str
    task: str
    risk_tier: str
    description: str
    latest_version: int | None
    aliases: Mapping[str, int]
    running: tuple[Running, ...]
    created_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class ArtifactRow:
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class VersionRow:
    id: str
    model: str
    number: int
    artifact: ArtifactRow
    signature: Mapping[str, Any]
    allow_nonfinite: bool
    sample: Mapping[str, Any]
    intake: Mapping[str, Any]
    metadata: Mapping[str, Any]
    description: str
    aliases: tuple[str, ...]
    running: tuple[str, ...]  # environments
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AliasRow:
    name: str
    model: str
    version: int
    revision: int


@dataclass(frozen=True, slots=True)
class AliasMoveRow:
    """`from_version` is None where the alias was made, `to_version` where it was removed."""

    id: str
    name: str
    from_version: int | None
    to_version: int | None
    reason: str
    moved_by: str
    moved_at: datetime


@dataclass(frozen=True, slots=True)
class EngineRow:
    """What a host said last about itself. Zero and empty mean not known; `security` is what it
    confines containers with."""

    version: str
    os: str
    cpus: int
    memory_bytes: int
    has_base_image: bool
    security: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostRow:
    """`replicas` and `free` are of `capacity`."""

    id: str
    name: str
    environment: str
    kind: str
    address: str
    publish_address: str
    has_credentials: bool
    engine: EngineRow
    capacity: int
    replicas: int
    free: int
    state: str  # ok, silent, unknown
    last_contact_at: datetime | None
    last_error: str
    created_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """One resource type at one gateway: the generations served, acknowledged and rejected last."""

    type: str
    served: int
    acknowledged: int
    rejected: int
    reason: str


@dataclass(frozen=True, slots=True)
class GatewayRow:
    id: str
    name: str
    environment: str
    address: str
    state: str  # ok, silent, unknown
    last_poll_at: datetime | None
    resources: tuple[ResourceRow, ...]
    created_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class EnvironmentRow:
    id: str
    name: str
    is_production: bool
    bake_seconds: float
    drain_seconds: float
    hosts: tuple[HostRow, ...]
    gateways: tuple[GatewayRow, ...]
    created_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    id: str
    endpoint: str
    version: int
    digest: str
    image_digest: str
    config: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TrafficRow:
    release: str
    version: int
    percent: int
    mirror_percent: int


@dataclass(frozen=True, slots=True)
class ReplicaRow:
    """`host_silent`: its host does not answer, so that the state is what was known last."""

    id: str
    release: str
    version: int
    host: str
    host_silent: bool
    slot: int
    state: str
    address: str
    port: int | None
    ready_at: datetime | None
    ended_at: datetime | None
    failure: Mapping[str, Any] | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class EndpointRef:
    id: str
    name: str
    environment: str


@dataclass(frozen=True, slots=True)
class ReleaseRef:
    release: str
    version: int


@dataclass(frozen=True, slots=True)
class StepRow:
    kind: str
    label: str
    state: str  # done, current, failed, skipped, todo


@dataclass(frozen=True, slots=True)
class SplitRow:
    target_percent: int
    mirror_percent: int


@dataclass(frozen=True, slots=True)
class ReasonRow:
    code: str
    message: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StatusCard:
    phase: str
    outcome: str
    badge: str
    sentence: str
    step: int
    steps: tuple[StepRow, ...]
    waiting: str
    split: SplitRow
    since: datetime
    reason: ReasonRow | None


@dataclass(frozen=True, slots=True)
class Timings:
    created_at: datetime
    switched_at: datetime | None
    switch_acknowledged_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """How long one gateway took to run the routes of the last switch."""

    name: str
    acknowledged_ms: float


@dataclass(frozen=True, slots=True)
class RolloutCard:
    """`disabled_actions` holds a sentence for each action that is not in `allowed_actions`: not
    possible now, or not for this actor. `build` is the newest of the target's image, if it has
    one."""

    id: str
    number: int
    endpoint: EndpointRef
    kind: str
    target: ReleaseRef
    stable: ReleaseRef | None
    strategy: Mapping[str, Any]
    spec: Mapping[str, Any]
    status: StatusCard
    comment: str
    timings: Timings
    gateways: tuple[Acknowledgement, ...]
    build: str | None
    created_by: str
    created_at: datetime
    generation: int
    revision: int
    allowed_actions: tuple[str, ...]
    disabled_actions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EventRow:
    id: int
    at: datetime
    kind: str
    message: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EndpointCard:
    """`state` is the badge word: of the rollout that moves, otherwise serving, degraded, down or
    empty. `cannot_roll_back` is empty, or says why this actor cannot now; `cannot_declare` the same
    of opening it to everybody, or of asking for keys again when it is open."""

    id: str
    name: str
    model: str
    environment: str
    is_production: bool
    url: str
    is_open: bool
    replicas: int
    state: str
    sentence: str
    stable_release: ReleaseRow | None
    traffic: tuple[TrafficRow, ...]
    replica_list: tuple[ReplicaRow, ...]
    active_rollout: RolloutCard | None
    latest_rollout: RolloutCard | None
    cannot_roll_back: str
    cannot_declare: str
    revision: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What a key has used at one endpoint since midnight (UTC)."""

    endpoint: str
    requests_today: int
    exhausted: bool


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An endpoint key. `endpoints` and `usage` are of those endpoints that the actor sees;
    `other_endpoints` counts the rest. `acknowledged`: every gateway of the environment runs the
    newest word about who may ask. `resets_at` is when requests per day are counted anew."""

    id: str
    name: str
    environment: str
    endpoints: tuple[str, ...]
    other_endpoints: int
    state: str
    requests_per_minute: int | None
    requests_per_day: int | None
    usage: tuple[KeyUse, ...]
    resets_at: datetime
    acknowledged: bool
    created_by: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    rotated_to: str | None
    revision: int


@dataclass(frozen=True, slots=True)
class LogRow:
    """The end of one replica's log; `silent` when its host did not answer."""

    replica: str
    release: str
    host: str
    text: str
    silent: bool


@dataclass(frozen=True, slots=True)
class Progress:
    done: int
    total: int
    message: str


@dataclass(frozen=True, slots=True)
class Target:
    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class OperationRow:
    """A long-running request as its sender follows it: queued, running, succeeded, failed or
    cancelled. `error` is set when it failed or was cancelled."""

    id: str
    type: str
    status: str
    progress: Progress
    target: Target
    result: Mapping[str, Any] | None
    error: ReasonRow | None
    created_at: datetime
