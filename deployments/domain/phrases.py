"""What people read about a rollout: one badge word and one sentence, computed and never stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from deployments.domain.rollout import (
    Analyse,
    Mirror,
    Outcome,
    Pause,
    Phase,
    ReasonCode,
    SetWeight,
    Spec,
    Status,
    Step,
    Waiting,
    elapsed,
    loser,
)
from deployments.domain.world import World

_BY_PEOPLE = frozenset({ReasonCode.ABORTED, ReasonCode.SUPERSEDED, ReasonCode.ROLLED_BACK})


class Badge(StrEnum):
    """WAITING: for people or an earlier rollout. STUCK: a host or gateway does not answer, or there
    is none. REVERTED: because people wanted it. FAILED: reverted because something went wrong."""

    WAITING = "waiting"
    PROGRESSING = "progressing"
    PAUSED = "paused"
    STUCK = "stuck"
    BAKING = "baking"
    PROMOTED = "promoted"
    OBSERVED = "observed"
    REVERTED = "reverted"
    FAILED = "failed"


def badge(spec: Spec, status: Status) -> Badge:
    """How it ended, from the moment that this is decided; until then, how it goes."""
    match status.outcome:
        case Outcome.PROMOTED:
            return Badge.PROMOTED
        case Outcome.OBSERVED:
            return Badge.OBSERVED
        case Outcome.REVERTED:
            return Badge.REVERTED if _by_people(status) else Badge.FAILED
    if spec.paused and not spec.aborted:
        return Badge.PAUSED
    if status.reason is not None:
        return Badge.STUCK
    if status.waiting in (Waiting.EARLIER, Waiting.APPROVAL) or _asks_a_person(spec, status):
        return Badge.WAITING
    return Badge.BAKING if _baking(spec, status) else Badge.PROGRESSING


def sentence(
    spec: Spec,
    status: Status,
    world: World | None = None,
    *,
    names: Mapping[str, str] | None = None,
    now: float | None = None,
) -> str:
    """`names` says what a release is called ("version 2"); `now` stands in where no world is at
    hand, for the seconds left. Without either, the sentence leaves the numbers out."""
    words = _Words(spec, status, world, names or {}, world.now if world else now)
    if status.phase is Phase.DONE:
        return words.over()
    if status.phase is Phase.SETTLING:
        return f"{words.over()} {words.settling()}"
    if spec.aborted:
        return "The rollout is being aborted."
    if spec.paused:
        return "Paused. Resume the rollout to go on."
    if status.reason is not None:
        return _standstill(status)
    return words.waiting()


def step_label(step: Step) -> str:
    """A few words for the step bar, without a full stop."""
    match step:
        case SetWeight(percent):
            return f"{percent} % of traffic"
        case Mirror(0):
            return "Stop mirroring"
        case Mirror(percent):
            return f"Mirror {percent} %"
        case Pause(None):
            return "Wait for a person"
        case Pause(seconds, bake):
            return f"{'Bake' if bake else 'Wait'} {seconds:g} s"
        case Analyse(check):
            return f"Check {check}"


@dataclass(frozen=True, slots=True)
class _Words:
    spec: Spec
    status: Status
    world: World | None
    names: Mapping[str, str]
    now: float | None

    @property
    def target(self) -> str:
        return self.names.get(self.spec.target, "the new release")

    @property
    def stable(self) -> str:
        return self.names.get(self.spec.stable or "", "the old release")

    def over(self) -> str:
        match self.status.outcome:
            case Outcome.PROMOTED:
                return "Promoted."
            case Outcome.OBSERVED:
                return "Observed to the end."
        message = self.status.reason.message if self.status.reason else ""
        if not _by_people(self.status):
            return f"Failed (reverted): {_lowered(message)}"
        detail = self.status.reason.evidence.get("reason") if self.status.reason else None
        return f"Reverted: {_lowered(message)}" + (
            f" Reason given: {_closed(detail)}" if detail else ""
        )

    def settling(self) -> str:
        losing = loser(self.spec, self.status)
        name = self.target if losing == self.spec.target else self.stable
        match self.status.waiting:
            case Waiting.GATEWAY if not self.status.released:
                return f"Waiting for the gateways to take the traffic off {name}{self._silent()}."
            case Waiting.GATEWAY:
                return f"Waiting for the gateways to forget {name}{self._silent()}."
            case Waiting.HOST:
                return f"A host that may hold replicas of {name} does not answer{self._hosts()}."
        if self.status.released:
            return f"Stopping the replicas of {name}."
        left = self._left(self.spec.drain_seconds, self.status.drain_since)
        return f"Draining {name}{left}."

    def waiting(self) -> str:
        match self.status.waiting:
            case Waiting.EARLIER:
                return "Waiting for an earlier rollout of this endpoint."
            case Waiting.IMAGE:
                message = self.world.image.message if self.world else ""
                return message or "Waiting for the image."
            case Waiting.REPLICAS:
                return self._replicas()
            case Waiting.SMOKE:
                return f"Waiting for {self.target} to answer a sample inference."
            case Waiting.GATEWAY:
                return "Waiting for every gateway to take over the new configuration."
            case Waiting.REACH:
                return f"Waiting to reach {self.target} through {self._unreached()}."
            case Waiting.TIMER:
                return self._timer()
            case Waiting.APPROVAL:
                return f"Waiting for approval to send traffic to {self.target}."
            case Waiting.ANALYSIS:
                return f"Waiting for the result of the check{self._check()}."
            case Waiting.USER if _asks_a_person(self.spec, self.status):
                return "Waiting for a person to go on. Promote the rollout, or abort it."
        return "Waiting to start." if self.status.phase is Phase.PENDING else "Going on."

    def _replicas(self) -> str:
        if self.world is None:
            return f"Waiting for {_count(self.spec.replicas, 'replica')} to be ready."
        missing = max(0, self.spec.replicas - self.world.counts(self.spec.target).ready)
        if not missing:
            return "The replicas are ready."  # seen, and not decided upon yet
        return f"Waiting for {missing} of {_count(self.spec.replicas, 'replica')} to be ready."

    def _timer(self) -> str:
        match self.spec.steps[self.status.step]:
            case Pause(float() | int() as seconds, bake):
                gone = 0.0 if self.now is None else elapsed(self.status, self.now)
                left = "" if self.now is None else f": {max(0, ceil(seconds - gone))} s left"
            case _:
                return "Going on."
        if self.spec.promoted_through >= self.status.step:
            return "Going on."
        if not bake:
            return f"Waiting before the next step{left}."
        if self.spec.stable is None:
            return f"Baking {self.target}{left}."
        comma = "," if left else ";"
        return f"Baking {self.target}{left}{comma} {self.stable} is kept warm."

    def _left(self, seconds: float, since: float | None) -> str:
        if self.now is None or since is None:
            return ""
        return f": {max(0, ceil(since + seconds - self.now))} s left"

    def _unreached(self) -> str:
        if self.world is None:
            return "every gateway"
        missing = self.world.gateways.registered - self.world.gateways.reached
        return _listed(missing) or "every gateway"

    def _check(self) -> str:
        match self.spec.steps[self.status.step : self.status.step + 1]:
            case (Analyse(check),):
                return f" {check}"
        return ""

    def _silent(self) -> str:
        if self.world is None or not self.world.gateways.silent:
            return ""
        return f" ({_listed(self.world.gateways.silent)} does not answer)"

    def _hosts(self) -> str:
        return f" ({_listed(self.world.silent_hosts)})" if self.world else ""


def _standstill(status: Status) -> str:
    assert status.reason is not None  # noqa: S101
    rest = {
        ReasonCode.GATEWAY_SILENT: "The rollout goes on when it answers or is removed.",
        ReasonCode.HOST_SILENT: "The rollout goes on when it answers, or when its replicas are"
        " replaced elsewhere.",
        ReasonCode.NO_GATEWAY: "Register one.",
    }.get(status.reason.code, "")
    return f"{status.reason.message} {rest}".strip()


def _by_people(status: Status) -> bool:
    return status.reason is not None and status.reason.code in _BY_PEOPLE


def _asks_a_person(spec: Spec, status: Status) -> bool:
    """Not from the moment that somebody has resumed or promoted it, although the status waits for
    a person until the loop has taken note."""
    if status.waiting is not Waiting.USER or spec.promoted_through >= status.step:
        return False
    match spec.steps[status.step : status.step + 1]:
        case (Pause(None) | Analyse(),):
            return status.phase is Phase.STEPPING
    return False


def _baking(spec: Spec, status: Status) -> bool:
    if status.phase is not Phase.STEPPING:
        return False
    match spec.steps[status.step : status.step + 1]:
        case (Pause(_, True),):
            return True
    return False


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:]


def _closed(text: object) -> str:
    return str(text) if str(text).endswith((".", "!", "?")) else f"{text}."
