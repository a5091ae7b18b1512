"""What was seen of the world in one pass, as far as one rollout is concerned. Plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from deployments.domain.rollout import Evidence, ReasonCode, Split


class Verdict(StrEnum):
    """What an analysis says; one that is still running has no entry in `World.verdicts`."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class ReplicaCounts:
    """Copies of one release.

    `present` counts every copy not known to be gone: starting, ready, failed, stopping, and those
    on silent hosts. `ready` counts copies that passed three checks in a row, are not being stopped
    and can take traffic. `failed` counts dead ones that still lie around.
    """

    present: int = 0
    ready: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class ReplicaFailure:
    """A copy of the target that died since this rollout started. It stays listed when replaced."""

    release: str
    replica: str
    code: ReasonCode
    message: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class SmokeVerdict:
    passed: bool
    evidence: Evidence


class ImageState(StrEnum):
    """NONE: the target runs without. WAITING: it is being built, or brought to hosts."""

    NONE = "none"
    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ImageView:
    """The target's image. `message` is what is being done to it, or why that failed, as a sentence
    with its full stop."""

    state: ImageState = ImageState.NONE
    message: str = ""
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GatewayView:
    """What all registered gateways of the environment agree on. `traffic.view` makes one.

    `acked` is the split that every one acknowledged, None while any differs or there is none at
    all; `acked_exposed` says that every one knows the target's cluster. For a settling rollout,
    `clear_since` is when the last one acknowledged routes that send the loser nothing (None until
    then) and `withdrawn` that none knows the loser's cluster any more.

    `reached` names those through which the target answered a smoke inference; `reach_failed` is
    the evidence of the latest attempt that failed. `rejected` is the evidence of a rejection.
    """

    registered: frozenset[str] = frozenset()
    acked: Split | None = None
    acked_exposed: bool = False
    acked_since: float = 0.0
    clear_since: float | None = None
    withdrawn: bool = False
    rejected: Evidence | None = None
    silent: frozenset[str] = frozenset()
    reached: frozenset[str] = frozenset()
    reach_failed: Evidence | None = None


@dataclass(frozen=True, slots=True)
class World:
    """`decide`'s third argument. Everything in it was read after the rollout's own row, or with it.

    `earlier_active`: another rollout of this endpoint is provisioning or stepping, or is pending
    and older. `silent_hosts`: hosts that hold a copy of the target or of the stable release and do
    not answer; their copies still count as present. `kept_elsewhere`: releases that the endpoint's
    stable pointer or another *active* rollout keeps (see `fleet.kept_elsewhere`). `probes`: the
    latest readiness answer of each copy of the target, evidence for a health timeout.
    """

    now: float
    earlier_active: bool = False
    approved: bool = False
    replicas: Mapping[str, ReplicaCounts] = field(default_factory=dict)
    failures: tuple[ReplicaFailure, ...] = ()
    silent_hosts: frozenset[str] = frozenset()
    smoked: SmokeVerdict | None = None
    gateways: GatewayView = GatewayView()
    image: ImageView = field(default_factory=ImageView)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    kept_elsewhere: frozenset[str] = frozenset()
    probes: Evidence = field(default_factory=dict)

    def counts(self, release: str | None) -> ReplicaCounts:
        return self.replicas.get(release, ReplicaCounts()) if release else ReplicaCounts()


@dataclass(frozen=True, slots=True)
class SmokeDirect:
    """Send one inference to a copy of the release, past the gateways. Repeatable."""

    release: str


@dataclass(frozen=True, slots=True)
class SmokeThroughGateways:
    """Send one inference to the release through every gateway, by the smoke route. Repeatable."""

    release: str


Effect = SmokeDirect | SmokeThroughGateways
