"""What people may do to a rollout now, and in one sentence why not. Pure.

The same sentences stand beside a disabled button, in the API's refusal and in the CLI.
"""

from __future__ import annotations

from enum import StrEnum

from deployments.domain.rollout import Outcome, Pause, Phase, Spec, Status


class Verb(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    ABORT = "abort"


def refusal(verb: Verb, spec: Spec, status: Status) -> str:
    """Why `verb` is not possible now; empty when it is."""
    if status.phase is Phase.DONE:
        return "The rollout is over."
    if status.phase is Phase.SETTLING:
        return _decided(status)
    if spec.aborted:
        return "The rollout is being aborted."
    match verb:
        case Verb.PAUSE:
            return "The rollout is paused already." if spec.paused else ""
        case Verb.RESUME:
            return "" if spec.paused else "The rollout is not paused."
        case Verb.PROMOTE:
            return _cannot_promote(spec, status)
        case Verb.ABORT:
            return ""


def allowed(spec: Spec, status: Status) -> tuple[Verb, ...]:
    return tuple(verb for verb in Verb if not refusal(verb, spec, status))


def disabled(spec: Spec, status: Status) -> dict[str, str]:
    """The verbs that are not possible now, each with its reason."""
    reasons = {str(verb): refusal(verb, spec, status) for verb in Verb}
    return {verb: reason for verb, reason in reasons.items() if reason}


def _decided(status: Status) -> str:
    if status.outcome is Outcome.PROMOTED:
        return "The release is promoted; to go back, roll the endpoint back."
    return "The rollout has already been taken back."


def _cannot_promote(spec: Spec, status: Status) -> str:
    if spec.paused:
        return "The rollout is paused; resume it first."
    waits = status.phase is Phase.STEPPING and any(
        isinstance(step, Pause) for step in spec.steps[status.step : status.step + 1]
    )
    if not waits:
        return "There is no wait to skip yet; the release is not at a pause or baking."
    if spec.promoted_through >= status.step:
        return "The rollout is going on already."
    return ""
