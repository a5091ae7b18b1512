"""What the templates are given: plain values, so that no template can run a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from frontend.sparkline import Sparkline
from frontend.words import Badge


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a select in a dialog."""

    value: str
    label: str
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class ActionCard:
    """A button that does what the API does. `disabled` is the sentence shown beside it; `effect`
    says in the dialog what pressing it will do."""

    name: str
    title: str
    icon: str
    url: str
    effect: str = ""
    disabled: str = ""
    danger: bool = False
    primary: bool = False
    hidden: Mapping[str, str] = field(default_factory=dict)
    dialog_id: str = ""

    @property
    def dialog(self) -> str:
        return self.dialog_id or f"dialog-{self.name}"


@dataclass(frozen=True, slots=True)
class Share:
    """A release's part of the traffic, placed in a bar of 100."""

    label: str
    percent: int
    mirror_percent: int
    ink: int
    start: int
    is_stable: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """The last seconds of an endpoint; None where nothing was measured. Latencies are in
    milliseconds."""

    requests: float | None = None
    error_share: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """The last rollout, when it failed."""

    rollout: str
    number: int
    sentence: str


@dataclass(frozen=True, slots=True)
class FleetRow:
    id: str
    name: str
    environment: str
    is_production: bool
    url: str
    badge: Badge
    sentence: str
    needs_human: bool
    moving: bool
    live: str
    figures: Figures
    sparkline: Sparkline
    since: datetime | None
    is_open: bool = False
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class StepCard:
    label: str
    state: str
    icon: str


@dataclass(frozen=True, slots=True)
class ReplicaRow:
    id: str
    label: str
    host: str
    badge: Badge
    address: str
    ready_at: datetime | None
    failure: str = ""
    ink: int = 4


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a person would look up next: one titled text each."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class TimelineRow:
    id: str
    number: int
    title: str
    badge: Badge
    sentence: str
    comment: str
    created_by: str
    created_at: datetime
    facts: Sequence[str] = ()
    evidence: Sequence[Evidence] = ()
    facts_of_failure: Sequence[tuple[str, str]] = ()
    rollback: ActionCard | None = None
    build_url: str = ""


@dataclass(frozen=True, slots=True)
class RolloutCard:
    id: str
    number: int
    title: str
    badge: Badge
    sentence: str
    steps: Sequence[StepCard]
    created_at: datetime
    created_by: str
    acknowledged: Sequence[str] = ()
    build_url: str = ""


@dataclass(frozen=True, slots=True)
class KeyUseCard:
    """What a key has used of one endpoint today. `share` is per cent of its limit."""

    endpoint: str
    used: str
    share: int
    exhausted: bool


@dataclass(frozen=True, slots=True)
class KeyCard:
    id: str
    name: str
    url: str
    environment: str
    badge: Badge
    in_force: bool
    usage: Sequence[KeyUseCard]
    other_endpoints: int
    requests_per_minute: int | None
    acknowledged: bool
    created_by: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    rotated_to: str
    revision: int


@dataclass(frozen=True, slots=True)
class DoorCard:
    """Who may ask an endpoint. `keys` are those in force, each with what it has used here today;
    `action` opens the endpoint to everybody, or asks for keys again."""

    is_open: bool
    action: ActionCard
    keys_url: str
    issue_command: str
    keys: Sequence[tuple[KeyCard, str]] = ()


@dataclass(frozen=True, slots=True)
class EndpointCard:
    id: str
    topic: str
    frames: str
    name: str
    environment: str
    is_production: bool
    badge: Badge
    sentence: str
    address: str
    command: str
    deploy: str
    figures: Figures
    shares: Sequence[Share]
    actions: Sequence[ActionCard]
    rollout: RolloutCard | None
    replicas: Sequence[ReplicaRow]
    timeline: Sequence[TimelineRow]
    door: DoorCard
    trouble: Trouble | None = None
