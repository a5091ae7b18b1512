"""How far something is, for people: the step bar, an endpoint's state, an operation's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from deployments.domain import phrases
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
)


class StepState(StrEnum):
    DONE = "done"
    CURRENT = "current"
    FAILED = "failed"
    SKIPPED = "skipped"
    TODO = "todo"


class OperationState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class StepView:
    kind: str
    label: str
    state: StepState


def steps(spec: Spec, status: Status) -> tuple[StepView, ...]:
    return tuple(
        StepView(_kind(step), phrases.step_label(step), _step_state(index, step, spec, status))
        for index, step in enumerate(spec.steps)
    )


def _step_state(index: int, step: Step, spec: Spec, status: Status) -> StepState:
    if status.outcome in (Outcome.PROMOTED, Outcome.OBSERVED):
        skippable = isinstance(step, Pause | Analyse)
        skipped = skippable and index <= spec.promoted_through
        return StepState.SKIPPED if skipped else StepState.DONE
    began = _ever_stepped(status)
    if not began or index > status.step:
        return StepState.SKIPPED if status.outcome is Outcome.REVERTED else StepState.TODO
    if index < status.step:
        return StepState.DONE
    return StepState.FAILED if status.outcome is Outcome.REVERTED else StepState.CURRENT


def _ever_stepped(status: Status) -> bool:
    if status.phase in (Phase.PENDING, Phase.PROVISIONING):
        return False
    return status.outcome is Outcome.NONE or status.step > 0 or status.exposed


def _kind(step: Step) -> str:
    match step:
        case SetWeight():
            return "set-weight"
        case Mirror():
            return "mirror"
        case Pause(_, bake):
            return "bake" if bake else "pause"
        case Analyse():
            return "analyse"


def operation_state(kind: str, spec: Spec, status: Status) -> OperationState:
    """What became of a request. Starting one has succeeded when the rollout is promoted; an abort
    when it is taken back; a pause, resume or promote when the loop has taken note of it."""
    decided = status.outcome is not Outcome.NONE
    match kind:
        case "rollout.start" | "endpoint.rollback":
            return _of_start(status)
        case "rollout.abort":
            if status.outcome is Outcome.REVERTED:
                return OperationState.SUCCEEDED
            return OperationState.FAILED if decided else OperationState.RUNNING
    if status.observed_generation >= spec.generation or decided:
        return OperationState.SUCCEEDED
    return OperationState.RUNNING


def _of_start(status: Status) -> OperationState:
    match status.outcome:
        case Outcome.PROMOTED | Outcome.OBSERVED:
            return OperationState.SUCCEEDED
        case Outcome.REVERTED:
            people = (ReasonCode.ABORTED, ReasonCode.SUPERSEDED, ReasonCode.ROLLED_BACK)
            by_people = status.reason is not None and status.reason.code in people
            return OperationState.CANCELLED if by_people else OperationState.FAILED
    return OperationState.QUEUED if status.phase is Phase.PENDING else OperationState.RUNNING


def steps_done(views: tuple[StepView, ...]) -> int:
    return sum(view.state in (StepState.DONE, StepState.SKIPPED) for view in views)


@dataclass(frozen=True, slots=True)
class Serving:
    """What an endpoint serves while nothing moves."""

    version: int | None
    wanted: int
    ready: int
    silent_hosts: tuple[str, ...] = ()  # that hold copies of it


def endpoint_state(serving: Serving) -> tuple[str, str]:
    """The badge word and the sentence of an endpoint without a rollout that moves."""
    if serving.version is None:
        return "empty", "Nothing is deployed here yet."
    if serving.ready == 0:
        return "down", f"No replica of version {serving.version} is ready."
    replicas = "1 replica" if serving.wanted == 1 else f"{serving.wanted} replicas"
    if serving.silent_hosts:
        names = ", ".join(serving.silent_hosts)
        return (
            "degraded",
            f"Serving version {serving.version} as far as is known: no answer from {names}.",
        )
    if serving.ready < serving.wanted:
        return (
            "degraded",
            f"Serving version {serving.version} with {serving.ready} of {replicas}.",
        )
    return "serving", f"Serving version {serving.version} with {replicas}."


def version_names(numbers: Mapping[str, int]) -> dict[str, str]:
    """What sentences call releases, from release id to version number."""
    return {release: f"version {number}" for release, number in numbers.items()}
