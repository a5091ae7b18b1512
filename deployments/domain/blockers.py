"""What an active rollout has to wait for before it may go on. The first that applies is told."""

from __future__ import annotations

from dataclasses import replace

from deployments.domain.decision import (
    PROMPT_TICK_SECONDS,
    SLOW_TICK_SECONDS,
    TICK_SECONDS,
    Block,
)
from deployments.domain.rollout import (
    Analyse,
    Mirror,
    Pause,
    Phase,
    Reason,
    ReasonCode,
    SetWeight,
    Spec,
    Split,
    Status,
    Waiting,
    elapsed,
)
from deployments.domain.world import (
    ImageState,
    SmokeDirect,
    SmokeThroughGateways,
    Verdict,
    World,
)


def blocker(spec: Spec, was: Status, world: World) -> Block | None:
    """None: the rollout may go on by one."""
    if spec.paused:
        return Block(Waiting.USER, frozen=True, again_in=SLOW_TICK_SECONDS, note="Paused.")
    if world.silent_hosts:
        return Block(Waiting.HOST, frozen=True, why=_silent("host", world.silent_hosts))
    if was.phase is Phase.PROVISIONING:
        return _provisioning(spec, was, world)
    agreed = world.gateways.acked == was.split
    return _gateways(spec, world, agreed) or _stepping(spec, was, world)


def wanted_split(spec: Spec, was: Status) -> Split:
    """The split that the current step asks for. A first deployment has nobody to share with."""
    match spec.steps[was.step]:
        case SetWeight(percent):
            alone = spec.stable is None and percent > 0
            return Split(100 if alone else percent)
        case Mirror(percent):
            return replace(was.split, mirror_percent=percent if spec.stable else 0)
    return was.split


def _provisioning(spec: Spec, was: Status, world: World) -> Block | None:
    if world.image.state is ImageState.WAITING:
        # Builds have a time limit of their own, and end in trouble when it is over.
        return Block(Waiting.IMAGE, note=world.image.message)
    late = Reason(
        ReasonCode.HEALTH_TIMEOUT,
        f"The replicas were not ready within {spec.provision_seconds:g} s.",
        _replica_evidence(spec, world),
    )
    if block := _replicas(spec, world, spec.provision_seconds, late):
        return block
    if world.smoked is None:
        return Block(
            Waiting.SMOKE,
            effects=(SmokeDirect(spec.target),),
            limit=spec.progress_seconds,
            overdue=_too_long(spec, "the sample inference", {}),
            again_in=PROMPT_TICK_SECONDS,
        )
    if not was.exposed:
        return None
    return _gateways(spec, world, world.gateways.acked_exposed) or _reach(spec, world)


def _stepping(spec: Spec, was: Status, world: World) -> Block | None:
    if was.step >= len(spec.steps):
        return _full_strength(spec, was.split, world)
    match spec.steps[was.step]:
        case SetWeight() | Mirror():
            wanted = wanted_split(spec, was)
            return None if wanted == was.split else _change(spec, was.split, wanted, world)
        case Pause(seconds):
            return _pause(spec, was, world, seconds) or _full_strength(spec, was.split, world)
        case Analyse(check):
            return _analysis(spec, was, world.verdicts.get(check))


def _change(spec: Spec, split: Split, wanted: Split, world: World) -> Block | None:
    if not world.approved:
        return Block(Waiting.APPROVAL, frozen=True, note="Waiting for approval.")
    more = wanted.target_percent > split.target_percent
    if not more and wanted.mirror_percent <= split.mirror_percent:
        return None
    return (
        _full_strength(spec, wanted, world)
        or _gateways(spec, world, world.gateways.acked_exposed)
        or _reach(spec, world)
    )


def _pause(spec: Spec, was: Status, world: World, seconds: float | None) -> Block | None:
    if spec.promoted_through >= was.step:
        return None
    if seconds is None:
        return Block(Waiting.USER, frozen=True, note="Waiting for a person to go on.")
    left = seconds - elapsed(was, world.now)
    return Block(Waiting.TIMER, again_in=min(left, TICK_SECONDS)) if left > 0 else None


def _analysis(spec: Spec, was: Status, verdict: Verdict | None) -> Block | None:
    """A failed one is trouble and never gets here. No data is a question to a person, not a yes."""
    if verdict is Verdict.PASS:
        return None
    if verdict is None:
        return Block(Waiting.ANALYSIS)
    if spec.promoted_through >= was.step:
        return None
    return Block(Waiting.USER, frozen=True, note="The check is inconclusive; a person decides.")


def _full_strength(spec: Spec, split: Split, world: World) -> Block | None:
    """Nothing is passed on the strength of replicas that are missing; the fleet replaces them."""
    if split == Split():
        return None
    overdue = _too_long(spec, "its replicas", _replica_evidence(spec, world))
    return _replicas(spec, world, spec.progress_seconds, overdue)


def _replicas(spec: Spec, world: World, limit: float, overdue: Reason) -> Block | None:
    if world.counts(spec.target).ready >= spec.replicas:
        return None
    return Block(Waiting.REPLICAS, limit=limit, overdue=overdue)


def _gateways(spec: Spec, world: World, agreed: bool) -> Block | None:
    gateways = world.gateways
    if not gateways.registered:
        nobody = Reason(ReasonCode.NO_GATEWAY, "No gateway is registered to take the traffic.", {})
        return Block(Waiting.GATEWAY, limit=spec.progress_seconds, overdue=nobody, why=nobody)
    if gateways.silent:
        return Block(Waiting.GATEWAY, frozen=True, why=_silent("gateway", gateways.silent))
    if agreed:
        return None
    overdue = _too_long(spec, "the gateways", {"gateways": sorted(gateways.registered)})
    return Block(Waiting.GATEWAY, limit=spec.progress_seconds, overdue=overdue)


def _reach(spec: Spec, world: World) -> Block | None:
    """A failed attempt is repeated for a while: a cluster may be acknowledged and still warming."""
    gateways = world.gateways
    missing = sorted(gateways.registered - gateways.reached)
    if not missing:
        return None
    failed = gateways.reach_failed
    if failed is None:
        limit, overdue = spec.progress_seconds, _too_long(spec, "the way", {"gateways": missing})
    else:
        limit, overdue = (
            spec.reach_seconds,
            Reason(
                ReasonCode.REACH_FAILED,
                "The new release could not be reached through every gateway.",
                {**failed, "gateways": missing},
            ),
        )
    effects = (SmokeThroughGateways(spec.target),)
    return Block(Waiting.REACH, False, effects, limit, overdue, again_in=PROMPT_TICK_SECONDS)


def _silent(what: str, names: frozenset[str]) -> Reason:
    code = ReasonCode.HOST_SILENT if what == "host" else ReasonCode.GATEWAY_SILENT
    listed = ", ".join(sorted(names))
    one = len(names) == 1
    return Reason(
        code,
        f"The {what}{'' if one else 's'} {listed} {'does' if one else 'do'} not answer.",
        {f"{what}s": sorted(names)},
    )


def _too_long(spec: Spec, what: str, evidence: dict[str, object]) -> Reason:
    return Reason(
        ReasonCode.PROGRESS_DEADLINE,
        f"The rollout waited for {what} longer than {spec.progress_seconds:g} s.",
        evidence,
    )


def _replica_evidence(spec: Spec, world: World) -> dict[str, object]:
    counts = world.counts(spec.target)
    failures = [
        {"replica": f.replica, "code": str(f.code), "message": f.message} | dict(f.evidence)
        for f in world.failures
    ]
    return {
        "ready": counts.ready,
        "wanted": spec.replicas,
        "probes": dict(world.probes),
        "failures": failures,
    }
