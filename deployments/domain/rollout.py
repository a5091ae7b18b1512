"""Vocabulary of a rollout: what people want (Spec) and what has been decided (Status).

Plain frozen data. Whatever is stored has `to_json` and `from_json`; unknown keys are ignored when
reading, so that an older worker can read what a newer one wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Data = TypeVar("_Data", bound="DataclassInstance")

Evidence = Mapping[str, Any]
"""JSON-able facts behind a reason: log tail, probe answer, rejection, counts."""


class Phase(StrEnum):
    PENDING = "pending"
    PROVISIONING = "provisioning"
    STEPPING = "stepping"
    SETTLING = "settling"
    DONE = "done"

    @property
    def active(self) -> bool:
        """Only one rollout per endpoint may be active at a time."""
        return self in (Phase.PROVISIONING, Phase.STEPPING)


class Outcome(StrEnum):
    NONE = ""
    PROMOTED = "promoted"
    OBSERVED = "observed"
    REVERTED = "reverted"


class Waiting(StrEnum):
    NOTHING = ""
    EARLIER = "earlier"
    IMAGE = "image"
    REPLICAS = "replicas"
    SMOKE = "smoke"
    GATEWAY = "gateway"
    REACH = "reach"
    TIMER = "timer"
    APPROVAL = "approval"
    ANALYSIS = "analysis"
    DRAIN = "drain"
    USER = "user"
    HOST = "host"


class ReasonCode(StrEnum):
    """Why a rollout was reverted. The last three also say why it stands still, while it does."""

    ABORTED = "aborted"
    SUPERSEDED = "superseded"
    ROLLED_BACK = "rolled-back"
    HEALTH_TIMEOUT = "health-timeout"
    MODEL_LOAD_FAILED = "model-load-failed"
    MANIFEST_REFUSED = "manifest-refused"
    BUILD_FAILED = "build-failed"
    HOST_REFUSED = "host-refused"
    HOST_ABANDONED = "host-abandoned"
    REPLICA_CRASHED = "replica-crashed"
    SMOKE_FAILED = "smoke-failed"
    REACH_FAILED = "reach-failed"
    XDS_NACK = "xds-nack"
    PROGRESS_DEADLINE = "progress-deadline"
    TARGET_LOST = "target-lost"
    ANALYSIS_FAILED = "analysis-failed"
    NO_GATEWAY = "no-gateway"
    GATEWAY_SILENT = "gateway-silent"
    HOST_SILENT = "host-silent"


@dataclass(frozen=True, slots=True)
class Reason:
    """`message` is a sentence with its full stop; `evidence` is what to look at next."""

    code: ReasonCode
    message: str
    evidence: Evidence

    def to_json(self) -> dict[str, Any]:
        return {"code": str(self.code), "message": self.message, "evidence": dict(self.evidence)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reason:
        return cls(ReasonCode(data["code"]), data["message"], data["evidence"])


@dataclass(frozen=True, slots=True)
class SetWeight:
    """The target gets this percentage of the endpoint's traffic, the stable release the rest."""

    percent: int

    def __post_init__(self) -> None:
        _require_percent(self.percent)


@dataclass(frozen=True, slots=True)
class Mirror:
    """The target gets a copy of this percentage of the traffic; its answers are thrown away."""

    percent: int

    def __post_init__(self) -> None:
        _require_percent(self.percent)


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for so many seconds, or for a person when `seconds` is None. A bake is a named pause."""

    seconds: float | None = None
    bake: bool = False

    def __post_init__(self) -> None:
        if self.seconds is not None and self.seconds < 0:
            raise ValueError("a pause cannot be negative")


@dataclass(frozen=True, slots=True)
class Analyse:
    """Wait for the verdict of the check of this name."""

    check: str


Step = SetWeight | Mirror | Pause | Analyse

_KINDS: dict[str, type[SetWeight] | type[Mirror] | type[Pause] | type[Analyse]] = {
    "set-weight": SetWeight,
    "mirror": Mirror,
    "pause": Pause,
    "analyse": Analyse,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def _require_percent(percent: int) -> None:
    if not 0 <= percent <= 100:
        raise ValueError("a percentage lies between 0 and 100")


def steps_to_json(steps: Sequence[Step]) -> list[dict[str, Any]]:
    return [{"kind": _NAMES[type(step)], **asdict(step)} for step in steps]


def steps_from_json(data: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    return tuple(_read(_KINDS[item["kind"]], item) for item in data)


@dataclass(frozen=True, slots=True)
class Split:
    """What the target gets; the stable release gets the rest of the 100."""

    target_percent: int = 0
    mirror_percent: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Split:
        return _read(cls, data)


NO_TRAFFIC = Split()


@dataclass(frozen=True, slots=True)
class Spec:
    """What people want. Only services write it.

    `stable` is the release that the rollout started from, None for a first deployment. While the
    rollout is pending it follows the endpoint (see `traffic.rebase`); from then on it is fixed.
    `stable_replicas` is how many copies it had. `promoted_through` is the index of the last step
    whose waiting is skipped; -1 skips none.
    """

    target: str
    stable: str | None
    replicas: int
    steps: tuple[Step, ...]
    drain_seconds: float = 30.0
    provision_seconds: float = 30.0
    progress_seconds: float = 600.0
    reach_seconds: float = 30.0
    crash_limit: int = 3
    stable_replicas: int = 0
    paused: bool = False
    aborted: bool = False
    abort_code: ReasonCode = ReasonCode.ABORTED
    abort_reason: str = ""
    promoted_through: int = -1
    generation: int = 1

    def to_json(self) -> dict[str, Any]:
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return plain | {"steps": steps_to_json(self.steps), "abort_code": str(self.abort_code)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Spec:
        spec = _read(cls, data)
        return replace(
            spec,
            steps=steps_from_json(data["steps"]),
            abort_code=ReasonCode(data.get("abort_code", ReasonCode.ABORTED)),
        )


@dataclass(frozen=True, slots=True)
class Status:
    """What has been decided. Only the loop writes it.

    `since` is the start of this phase, or of this step while stepping. The clock of a step stops
    while the rollout is frozen (paused, or held up by people or by silence): `frozen_since` says
    since when it stands, `paused_seconds` how long it stood before.

    `stalled_for` and `stalled_since` time one wait for a machine; the deadlines speak of that wait,
    frozen time excluded.

    `exposed`: the gateways are to know a cluster and smoke route of this rollout's release. That is
    the target while the rollout is active and the *loser* once it settles (the winner is published
    because it is stable). `drain_since`: every gateway has agreed to send the loser nothing since.
    `released`: the loser is drained, nobody needs its replicas on behalf of this rollout any more.

    `reason` says why it was reverted or, while it is active, why it stands still.
    """

    phase: Phase = Phase.PENDING
    outcome: Outcome = Outcome.NONE
    step: int = 0
    since: float = 0.0
    started: float = 0.0
    split: Split = NO_TRAFFIC
    exposed: bool = False
    waiting: Waiting = Waiting.NOTHING
    reason: Reason | None = None
    paused_seconds: float = 0.0
    frozen_since: float | None = None
    stalled_for: Waiting = Waiting.NOTHING
    stalled_since: float = 0.0
    drain_since: float | None = None
    released: bool = False
    observed_generation: int = 0

    def to_json(self) -> dict[str, Any]:
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return plain | {
            "phase": str(self.phase),
            "outcome": str(self.outcome),
            "waiting": str(self.waiting),
            "stalled_for": str(self.stalled_for),
            "split": self.split.to_json(),
            "reason": self.reason.to_json() if self.reason else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Status:
        reason = data.get("reason")
        return replace(
            _read(cls, data),
            phase=Phase(data["phase"]),
            outcome=Outcome(data["outcome"]),
            waiting=Waiting(data["waiting"]),
            stalled_for=Waiting(data.get("stalled_for", "")),
            split=Split.from_json(data["split"]),
            reason=Reason.from_json(reason) if reason else None,
        )


def loser(spec: Spec, status: Status) -> str | None:
    """The release that a settling rollout lets go of; None when there was none before."""
    return spec.stable if status.outcome is Outcome.PROMOTED else spec.target


def elapsed(status: Status, now: float) -> float:
    """Seconds that the clock of this phase or step has run, frozen time excluded."""
    until = now if status.frozen_since is None else status.frozen_since
    return max(0.0, until - status.since - status.paused_seconds)


def stalled(status: Status, now: float) -> float:
    """Seconds that this one wait for a machine has lasted, frozen time excluded."""
    until = now if status.frozen_since is None else status.frozen_since
    return max(0.0, until - status.stalled_since)


def _read(kind: type[_Data], data: Mapping[str, Any]) -> _Data:
    known = {field.name for field in fields(kind)}
    return kind(**{key: value for key, value in data.items() if key in known})
