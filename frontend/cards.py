"""What the templates are given: plain values, so that no template can run a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

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
    release: str = ""
    is_stable: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """The last seconds of an endpoint; None where nothing was measured."""

    requests: float | None = None
    error_share: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


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
    events: Sequence[tuple[datetime, str]] = ()
    rollback: ActionCard | None = None


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


@dataclass(frozen=True, slots=True)
class EndpointCard:
    id: str
    topic: str
    name: str
    environment: str
    is_production: bool
    badge: Badge
    sentence: str
    address: str
    curl: str
    command: str
    figures: Figures
    summary: str
    shares: Sequence[Share]
    actions: Sequence[ActionCard]
    rollout: RolloutCard | None
    replicas: Sequence[ReplicaRow]
    timeline: Sequence[TimelineRow]
    rows: Sequence[Mapping[str, Any]] = ()
    frames: str = ""


@dataclass(frozen=True, slots=True)
class VersionRow:
    number: int
    digest: str
    size: int
    created_at: datetime
    created_by: str
    description: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    runs_in: Sequence[str]
    aliases: Sequence[str]


@dataclass(frozen=True, slots=True)
class AliasRow:
    name: str
    version: int
    moved_at: datetime | None = None
    moved_by: str = ""


@dataclass(frozen=True, slots=True)
class ModelRow:
    name: str
    team: str
    task: str
    risk_tier: str
    description: str
    latest_version: int | None
    aliases: Sequence[AliasRow]
    runs_in: Sequence[str]
    created_at: datetime
