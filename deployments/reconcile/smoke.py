"""Carrying out what a decision asks for: smoke inferences, whose answers become rows.

The next look reads the rows. An attempt that nothing answered proves nothing about the release, so
only the way through a gateway records it; a replica that is asked directly is simply asked again.
"""

from __future__ import annotations

import time

from django.conf import settings

from deployments.adapters import gateway_smoke, replica_smoke
from deployments.adapters.gateway_smoke import SmokeAnswer
from deployments.domain.world import Effect, SmokeDirect, SmokeThroughGateways
from deployments.models import Gateway, Release, Replica, Rollout, SmokeResult
from deployments.reconcile.story import Story
from wire import identity

DIRECT = "direct"
# A cluster may be acknowledged and still warming. Waiting here is cheaper than another pass.
_WARMING_SECONDS = 1.0
_BETWEEN_SECONDS = 0.03


def carry_out(effect: Effect, story: Story, rollout: Rollout) -> None:
    """Bounded by the smoke timeout per gateway or replica. Repeatable."""
    release = Release.objects.select_related("version").get(pk=effect.release)
    match effect:
        case SmokeDirect():
            _direct(story, rollout, release)
        case SmokeThroughGateways():
            _through_gateways(story, rollout, release)


def _direct(story: Story, rollout: Rollout, release: Release) -> None:
    """Every ready replica has to answer: one that fails is reason enough."""
    ready = Replica.objects.filter(release=release, state=Replica.State.READY, port__isnull=False)
    answers: list[tuple[Replica, SmokeAnswer]] = []
    for replica in ready.order_by("pk"):
        answer = replica_smoke.ask(
            replica.address,
            replica.port or 0,
            story.endpoint.model.name,
            release.version.sample,
            context=settings.AUTHORITY.context_for(
                identity.replica(
                    story.endpoint.environment.name, release.public_id, replica.public_id
                )
            ),
            timeout=settings.CONFIG.smoke_timeout_seconds,
        )
        if answer.status is None:
            return
        answers.append((replica, answer))
    if not answers:
        return
    failed = [(replica, answer) for replica, answer in answers if not answer.ok]
    replica, answer = failed[0] if failed else answers[-1]
    evidence = _evidence(answer) | {"replica": replica.public_id, "answered": len(answers)}
    SmokeResult.objects.create(
        rollout=rollout, via=DIRECT, subject=release.pk, ok=not failed, evidence=evidence
    )


def _through_gateways(story: Story, rollout: Rollout, release: Release) -> None:
    environment = story.endpoint.environment
    reached = set(
        SmokeResult.objects.filter(rollout=rollout, ok=True).values_list("via", flat=True)
    )
    for gateway in Gateway.objects.filter(environment=environment, removed_at__isnull=True):
        if gateway.pk in reached:
            continue
        answer = _reach(story, gateway, release)
        evidence = _evidence(answer) | {"gateway": gateway.name}
        SmokeResult.objects.create(
            rollout=rollout, via=gateway.pk, subject=release.pk, ok=answer.ok, evidence=evidence
        )


def _reach(story: Story, gateway: Gateway, release: Release) -> SmokeAnswer:
    deadline = time.monotonic() + _WARMING_SECONDS
    while True:
        answer = gateway_smoke.reach(
            gateway.address,
            story.endpoint.model.name,
            release.public_id,
            story.endpoint.environment.smoke_secret,
            release.version.sample,
            timeout=settings.CONFIG.smoke_timeout_seconds,
        )
        if answer.ok or time.monotonic() > deadline:
            return answer
        time.sleep(_BETWEEN_SECONDS)


def _evidence(answer: SmokeAnswer) -> dict[str, object]:
    return {
        "status": answer.status,
        "seconds": round(answer.seconds, 4),
        "answer": answer.evidence,
    }
