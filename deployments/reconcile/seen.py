"""Looking: everything that `decide` wants to know, from rows that others keep true.

Hosts were asked by `fleet` in the same pass, gateways say what they run by polling, the collector
writes readiness. Nothing here talks to anybody.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from django.conf import settings
from django.db.models import Q

from core import clock
from deployments.domain import fleet, routing, traffic
from deployments.domain.rollout import Phase, ReasonCode
from deployments.domain.world import (
    GatewayView,
    ReplicaCounts,
    ReplicaFailure,
    SmokeVerdict,
    World,
)
from deployments.models import Gateway, GatewayState, Publication, Replica, SmokeResult
from deployments.reconcile.story import Chapter, Story
from deployments.selectors import images
from governance.selectors import policies


def look(story: Story, chapter: Chapter, silent_hosts: frozenset[str]) -> World:
    """Read-only. `silent_hosts` are the ids of hosts that did not answer in this pass."""
    spec = chapter.spec
    releases = [release for release in (spec.target, spec.stable) if release]
    copies = list(
        Replica.objects.filter(release__in=releases).select_related("host").order_by("pk")
    )
    holders = {copy.host_id: copy.host.name for copy in copies if copy.state in Replica.PRESENT}
    return World(
        now=clock.timestamp(),
        earlier_active=_earlier_active(story, chapter),
        approved=policies.approved(
            environment_id=story.endpoint.environment_id,
            risk_tier=story.endpoint.model.risk_tier,
        ),
        replicas=_counts(copies),
        failures=_failures(chapter, copies),
        silent_hosts=frozenset(holders[host] for host in silent_hosts if host in holders),
        smoked=_smoked(chapter),
        gateways=gateway_view(story, chapter),
        image=images.view(spec.target),
        kept_elsewhere=fleet.kept_elsewhere(story.stable, story.pairs(without=chapter.row.pk)),
        probes={
            copy.public_id: copy.last_probe
            for copy in copies
            if copy.release_id == spec.target and copy.state == Replica.State.STARTING
        },
    )


def gateway_view(story: Story, chapter: Chapter) -> GatewayView:
    """What the registered gateways of the endpoint's environment agree on."""
    gateways = Gateway.objects.filter(
        environment=story.endpoint.environment, removed_at__isnull=True
    ).prefetch_related("states")
    history = _History(story)
    smokes = list(
        SmokeResult.objects.filter(rollout=chapter.row).exclude(via="direct").order_by("pk")
    )
    seen = [_seen(gateway, history, smokes) for gateway in gateways]
    return traffic.view(chapter.spec, chapter.status, seen)


def acknowledged_at(story: Story) -> dict[str, float]:
    """When each gateway last acknowledged routes, by its name, in seconds since the epoch."""
    states = GatewayState.objects.filter(
        gateway__environment=story.endpoint.environment,
        gateway__removed_at__isnull=True,
        type_url=routing.ROUTE_TYPE,
        acked_at__isnull=False,
    ).select_related("gateway")
    return {state.gateway.name: state.acked_at.timestamp() for state in states if state.acked_at}


class _History:
    """What the endpoint looked like in each generation of routes and of clusters."""

    def __init__(self, story: Story) -> None:
        rows = Publication.objects.filter(endpoint=story.endpoint, type_url__in=routing.TYPE_URLS)
        self._rows: dict[str, list[Publication]] = {url: [] for url in routing.TYPE_URLS}
        for row in rows.order_by("generation"):
            self._rows[row.type_url].append(row)

    def routes(self, acked: int) -> tuple[traffic.Shares | None, list[traffic.Shares]]:
        known, later = self._split(routing.ROUTE_TYPE, acked)
        return (None if known is None else _shares(known)), [_shares(row) for row in later]

    def clusters(self, acked: int) -> tuple[frozenset[str] | None, list[frozenset[str]]]:
        known, later = self._split(routing.CLUSTER_TYPE, acked)
        return (None if known is None else frozenset(known.content)), [
            frozenset(row.content) for row in later
        ]

    def since(self, type_url: str) -> int:
        """The generation of the newest publication."""
        rows = self._rows[type_url]
        return rows[-1].generation if rows else 0

    def _split(self, type_url: str, acked: int) -> tuple[Publication | None, list[Publication]]:
        earlier = [row for row in self._rows[type_url] if row.generation <= acked]
        later = [row for row in self._rows[type_url] if row.generation > acked]
        return (earlier[-1] if earlier else None), later


def _shares(row: Publication) -> traffic.Shares:
    return {
        release: traffic.Share(percent, mirror)
        for release, (percent, mirror) in row.content.items()
    }


def _seen(gateway: Gateway, history: _History, smokes: list[SmokeResult]) -> traffic.Seen:
    states = {state.type_url: state for state in gateway.states.all()}
    routes_state = states.get(routing.ROUTE_TYPE)
    clusters_state = states.get(routing.CLUSTER_TYPE)
    routes, later_routes = history.routes(routes_state.acked_generation if routes_state else 0)
    clusters, later_clusters = history.clusters(
        clusters_state.acked_generation if clusters_state else 0
    )
    mine = [smoke for smoke in smokes if smoke.via == gateway.pk]
    acked = [state.acked_at.timestamp() for state in states.values() if state.acked_at]
    return traffic.Seen(
        name=gateway.name,
        routes=routes,
        later_routes=later_routes,
        clusters=clusters,
        later_clusters=later_clusters,
        acked_at=max(acked, default=0.0),
        silent=_is_silent(gateway),
        reached=any(smoke.ok for smoke in mine),
        reach_failed=mine[-1].evidence if mine and not mine[-1].ok else None,
        rejected=_rejected(gateway, history, states),
    )


def _rejected(
    gateway: Gateway, history: _History, states: dict[str, GatewayState]
) -> dict[str, object] | None:
    """Evidence of a rejection that stands in the endpoint's way: newer than what the gateway runs,
    and not older than the endpoint's own last change."""
    for type_url, state in states.items():
        rejected = state.rejected_generation
        if rejected > state.acked_generation and rejected >= history.since(type_url) > 0:
            return {
                "gateway": gateway.name,
                "type": type_url,
                "generation": rejected,
                "reason": state.rejected_reason,
            }
    return None


def _is_silent(gateway: Gateway) -> bool:
    limit = clock.now() - timedelta(seconds=settings.CONFIG.gateway_silence_seconds)
    return gateway.last_poll_at is None or gateway.last_poll_at < limit


def _earlier_active(story: Story, chapter: Chapter) -> bool:
    return any(
        other.status.phase.active
        or (other.status.phase is Phase.PENDING and other.row.number < chapter.row.number)
        for other in story.chapters
        if other.row.pk != chapter.row.pk
    )


def _counts(copies: list[Replica]) -> dict[str, ReplicaCounts]:
    present: Counter[str] = Counter()
    ready: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for copy in copies:
        present[copy.release_id] += copy.state in (*Replica.PRESENT, Replica.State.FAILED)
        ready[copy.release_id] += copy.state == Replica.State.READY
        failed[copy.release_id] += copy.state == Replica.State.FAILED
    return {
        release: ReplicaCounts(present[release], ready[release], failed[release])
        for release in {copy.release_id for copy in copies}
    }


def _failures(chapter: Chapter, copies: list[Replica]) -> tuple[ReplicaFailure, ...]:
    """Ends of the target's copies since this rollout began to need them, not since it was asked
    for: what an earlier rollout of the same release broke is not this one's. A replaced copy stays
    listed."""
    return tuple(
        ReplicaFailure(
            release=copy.release_id,
            replica=copy.public_id,
            code=ReasonCode(copy.failure["code"]),
            message=copy.failure["message"],
            evidence=copy.failure["evidence"],
        )
        for copy in copies
        if copy.failure
        and copy.release_id == chapter.spec.target
        and copy.ended_at
        and copy.ended_at.timestamp() >= chapter.status.started
    )


def _smoked(chapter: Chapter) -> SmokeVerdict | None:
    result = (
        SmokeResult.objects.filter(
            Q(rollout=chapter.row), via="direct", subject=chapter.spec.target
        )
        .order_by("pk")
        .last()
    )
    return SmokeVerdict(result.ok, result.evidence) if result else None
