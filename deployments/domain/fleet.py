"""Which replicas an endpoint needs, from all its unfinished rollouts and its stable pointer.

Needs are derived, never stored, and never an effect: any pass of any worker derives the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from deployments.domain.rollout import NO_TRAFFIC, Phase, ReasonCode, Spec, Status, loser

MAX_BACKOFF_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Need:
    """Bring the release up to `count` copies; with `hold`, stop no working copy above it either.

    A release that drains is `Need(0, hold=True)`: what is there stays, nothing new is started.
    """

    count: int
    hold: bool = False


class ReplicaState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Replica:
    """One copy that is not known to be gone. One on a silent host is present like any other."""

    id: str
    release: str
    slot: int
    state: ReplicaState


@dataclass(frozen=True, slots=True)
class Crashes:
    """How often copies of a release failed lately, and when the latest did."""

    count: int
    last_at: float


@dataclass(frozen=True, slots=True)
class Start:
    """One copy too few. At most one live copy per (release, slot): a unique constraint keeps two
    workers that decide the same from starting two."""

    release: str
    slot: int


@dataclass(frozen=True, slots=True)
class Stop:
    """One copy too many, or a dead one to clear away. Repeatable."""

    replica: str
    release: str


@dataclass(frozen=True, slots=True)
class Changes:
    """`again_at` is when a start that was put off after crashes is due."""

    start: tuple[Start, ...] = ()
    stop: tuple[Stop, ...] = ()
    again_at: float | None = None


def abandoned(host: str) -> dict[str, Any]:
    """The failure of a copy whose silent host a person has given up."""
    return {
        "code": str(ReasonCode.HOST_ABANDONED),
        "message": f"The host {host} does not answer; its replicas are replaced elsewhere.",
        "evidence": {"host": host},
    }


def needs(
    stable: str | None, stable_replicas: int, unfinished: Iterable[tuple[Spec, Status]]
) -> dict[str, Need]:
    """Per release, what must run. A release that is absent is needed by nobody.

    The stable release and an active rollout's target and old release are brought up to their
    counts. What a settling rollout lets go of is held until drained, and no longer.
    """
    found: dict[str, Need] = {}
    if stable:
        _merge(found, stable, Need(stable_replicas))
    for spec, status in unfinished:
        if status.phase.active:
            _merge(found, spec.target, Need(spec.replicas))
            if spec.stable:
                _merge(found, spec.stable, Need(spec.stable_replicas, hold=True))
        holds = status.phase is Phase.SETTLING and not status.released
        if holds and (release := loser(spec, status)):
            _merge(found, release, Need(0, hold=True))
    return found


def kept_elsewhere(stable: str | None, others: Iterable[tuple[Spec, Status]]) -> frozenset[str]:
    """Releases that somebody other than this rollout will let go of properly, later.

    The stable pointer and other *active* rollouts count; a target only once it gets traffic, since
    a rollout that never sent it any would not drain what an earlier one sent. Settling rollouts do
    not count: two that let go of the same release would each leave the draining to the other.
    """
    kept = {stable}
    for spec, status in others:
        if status.phase.active:
            kept |= {spec.stable, spec.target if status.split != NO_TRAFFIC else None}
    return frozenset(release for release in kept if release)


def changes(
    needed: Mapping[str, Need],
    present: Sequence[Replica],
    now: float,
    crashes: Mapping[str, Crashes] | None = None,
) -> Changes:
    """What to start and to stop so that `present` becomes what is needed. Same in, same out.

    Failed copies are cleared away and replaced, after a delay that doubles with each crash. A copy
    that already stops gives up its slot only when it is gone.
    """
    start: list[Start] = []
    stop = [Stop(each.id, each.release) for each in present if each.state is ReplicaState.FAILED]
    again: list[float] = []
    for release in sorted({each.release for each in present} | set(needed)):
        need = needed.get(release, Need(0))
        copies = [each for each in present if each.release == release]
        live = [
            each for each in copies if each.state in (ReplicaState.STARTING, ReplicaState.READY)
        ]
        if not need.hold:
            stop += [Stop(each.id, release) for each in _surplus(live, need.count)]
        missing = need.count - len(live)
        if missing > 0:
            due = _due((crashes or {}).get(release))
            if due <= now:
                start += [Start(release, slot) for slot in _free_slots(copies, missing)]
            else:
                again.append(due)
    return Changes(tuple(start), tuple(stop), min(again, default=None))


def _merge(found: dict[str, Need], release: str, need: Need) -> None:
    other = found.get(release, Need(0))
    found[release] = Need(max(need.count, other.count), need.hold or other.hold)


def _surplus(live: Sequence[Replica], count: int) -> list[Replica]:
    """The ones to lose first: not ready, then the highest slots."""
    ranked = sorted(live, key=lambda each: (each.state is not ReplicaState.READY, each.slot))
    return ranked[count:]


def _free_slots(copies: Sequence[Replica], missing: int) -> list[int]:
    taken = {each.slot for each in copies if each.state is not ReplicaState.FAILED}
    free = (slot for slot in range(len(taken) + missing) if slot not in taken)
    return list(free)[:missing]


def _due(crashes: Crashes | None) -> float:
    """The first replacement comes at once; then 1, 2, 4 … seconds after the latest crash."""
    if crashes is None or crashes.count <= 1:
        return float("-inf")
    return crashes.last_at + min(MAX_BACKOFF_SECONDS, 2.0 ** (crashes.count - 2))
