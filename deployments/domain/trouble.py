"""What ends a rollout before its time: each check gives a typed reason with evidence, or None.

These run in every pass of an active rollout, paused or frozen or not.
"""

from __future__ import annotations

from deployments.domain.rollout import (
    Analyse,
    Phase,
    Reason,
    ReasonCode,
    Spec,
    Status,
)
from deployments.domain.world import ImageState, ReplicaFailure, Verdict, World

FATAL_AT_ONCE = frozenset({ReasonCode.MODEL_LOAD_FAILED, ReasonCode.MANIFEST_REFUSED})
"""Another copy of the same release would fail the same way."""

_ABORT_SENTENCES = {
    ReasonCode.ABORTED: "A person aborted the rollout.",
    ReasonCode.SUPERSEDED: "A newer rollout of the endpoint replaced this one.",
    ReasonCode.ROLLED_BACK: "The endpoint was rolled back.",
}


def find(spec: Spec, was: Status, world: World) -> Reason | None:
    """The first that applies; what people decided comes before what machines did."""
    return (
        aborted(spec)
        or _build_failed(was, world)
        or _broken_replicas(spec, was, world)
        or _smoke_failed(was, world)
        or _rejected(was, world)
        or _target_lost(spec, was, world)
        or _analysis_failed(spec, was, world)
    )


def aborted(spec: Spec) -> Reason | None:
    if not spec.aborted:
        return None
    evidence = {"reason": spec.abort_reason} if spec.abort_reason else {}
    sentence = _ABORT_SENTENCES.get(spec.abort_code, _ABORT_SENTENCES[ReasonCode.ABORTED])
    return Reason(spec.abort_code, sentence, evidence)


def _build_failed(was: Status, world: World) -> Reason | None:
    if was.phase is not Phase.PROVISIONING or world.image.state is not ImageState.FAILED:
        return None
    return Reason(ReasonCode.BUILD_FAILED, world.image.message, world.image.evidence)


def _broken_replicas(spec: Spec, was: Status, world: World) -> Reason | None:
    mine = [
        failure
        for failure in world.failures
        if failure.release == spec.target and failure.code is not ReasonCode.HOST_ABANDONED
    ]
    if was.phase is Phase.PROVISIONING:
        for failure in mine:
            if failure.code in FATAL_AT_ONCE:
                return Reason(failure.code, failure.message, _evidence(failure))
    replicas = {failure.replica for failure in mine}
    if len(replicas) <= spec.crash_limit:
        return None
    return Reason(
        ReasonCode.REPLICA_CRASHED,
        f"{len(replicas)} replicas of the new release crashed; the latest: {mine[-1].message}",
        _evidence(mine[-1]) | {"crashes": len(replicas)},
    )


def _evidence(failure: ReplicaFailure) -> dict[str, object]:
    return {**failure.evidence, "replica": failure.replica, "code": str(failure.code)}


def _smoke_failed(was: Status, world: World) -> Reason | None:
    if was.phase is not Phase.PROVISIONING or world.smoked is None or world.smoked.passed:
        return None
    return Reason(
        ReasonCode.SMOKE_FAILED,
        "The new release did not answer a sample inference as it should.",
        world.smoked.evidence,
    )


def _rejected(was: Status, world: World) -> Reason | None:
    """Only while an agreement is due: another endpoint's bad routes are not this one's trouble."""
    gateways = world.gateways
    if gateways.rejected is None:
        return None
    if was.phase is Phase.PROVISIONING:
        due = was.exposed and not gateways.acked_exposed
    else:
        due = gateways.acked != was.split
    if not due:
        return None
    return Reason(
        ReasonCode.XDS_NACK, "A gateway rejected the new configuration.", gateways.rejected
    )


def _target_lost(spec: Spec, was: Status, world: World) -> Reason | None:
    """Going back helps only while somebody is there to go back to."""
    if was.phase is not Phase.STEPPING or not was.split.target_percent or world.silent_hosts:
        return None
    if world.counts(spec.target).ready or not world.counts(spec.stable).ready:
        return None
    last = next((f for f in reversed(world.failures) if f.release == spec.target), None)
    evidence: dict[str, object] = {"split": was.split.to_json(), "probes": dict(world.probes)}
    return Reason(
        ReasonCode.TARGET_LOST,
        "The new release lost all its replicas while it had traffic.",
        evidence | (_evidence(last) if last else {}),
    )


def _analysis_failed(spec: Spec, was: Status, world: World) -> Reason | None:
    if was.phase is not Phase.STEPPING:
        return None
    match spec.steps[was.step : was.step + 1]:
        case (Analyse(check),) if world.verdicts.get(check) is Verdict.FAIL:
            return Reason(
                ReasonCode.ANALYSIS_FAILED, f"The check {check} failed.", {"check": check}
            )
    return None
