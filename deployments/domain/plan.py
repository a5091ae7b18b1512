"""From a strategy, the words people choose, to the one list of steps that the engine knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deployments.domain.rollout import Analyse, Mirror, Pause, SetWeight, Step


@dataclass(frozen=True, slots=True)
class BlueGreen:
    """Everything at once; the old release stays warm for the bake."""

    bake_seconds: float
    pause_before_switch: bool = False


@dataclass(frozen=True, slots=True)
class Canary:
    """Rising weights with a pause (None: until a person goes on) and checks after each.

    The last weight must be 100; its pause is the bake. One pause stands for all.
    """

    weights: tuple[int, ...]
    pauses: tuple[float | None, ...]
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shadow:
    """Copies of the traffic for a while; the target never answers anybody and is let go of."""

    percent: int
    seconds: float
    checks: tuple[str, ...] = ()


Strategy = BlueGreen | Canary | Shadow


class BadPlan(ValueError):
    """The strategy cannot be carried out as it is written; the message says why."""


def compile_steps(strategy: Strategy) -> tuple[Step, ...]:
    """The steps end with all traffic on the target, or with none of it (a shadow)."""
    match strategy:
        case BlueGreen(bake_seconds, pause_before_switch):
            ask = (Pause(None),) if pause_before_switch else ()
            return (*ask, SetWeight(100), Pause(bake_seconds, bake=True))
        case Canary(weights, pauses, checks):
            return _canary(weights, pauses, checks)
        case Shadow(percent, seconds, checks):
            analyses = (Analyse(check) for check in checks)
            return (Mirror(percent), Pause(seconds, bake=True), *analyses, Mirror(0))


def require_possible(steps: Sequence[Step], *, stable: str | None) -> None:
    """Raises BadPlan when a first deployment is asked to mirror: there is no traffic to copy."""
    if stable is None and any(isinstance(step, Mirror) for step in steps):
        raise BadPlan("Nothing can be mirrored before the endpoint has its first release.")


def _canary(
    weights: tuple[int, ...], pauses: tuple[float | None, ...], checks: tuple[str, ...]
) -> tuple[Step, ...]:
    if not weights or weights[-1] != 100 or list(weights) != sorted(set(weights)):
        raise BadPlan("The weights of a canary must rise and end with 100.")
    if len(pauses) == 1:
        pauses = pauses * len(weights)
    if len(pauses) != len(weights):
        raise BadPlan("A canary needs one pause, or one for each weight.")
    steps: list[Step] = []
    for weight, seconds in zip(weights, pauses, strict=True):
        steps += [SetWeight(weight), Pause(seconds, bake=weight == 100)]
        steps += [Analyse(check) for check in checks]
    return tuple(steps)
