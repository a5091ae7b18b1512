"""Reading endpoints: what runs where, and what moves."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from core import clock
from deployments.domain import progress
from deployments.models import Endpoint, Gateway, Release, Replica, Rollout, Route
from deployments.selectors import gate, rollouts, subjects
from deployments.selectors.cards import (
    EndpointCard,
    ReleaseRow,
    ReplicaRow,
    RolloutCard,
    TrafficRow,
)
from deployments.selectors.environments import host_state
from governance import authorize
from governance.domain.access import Actor

# How long a failed replica is still shown beside those that run.
_FAILURES_SHOWN = timedelta(hours=1)
_MOVING = ("pending", *Rollout.ACTIVE)


def endpoints(
    actor: Actor, *, environment: str | None = None, model: str | None = None
) -> list[EndpointCard]:
    """All that the actor may see, production first, then by name."""
    rows = endpoint_rows(actor, environment=environment, model=model)
    ordered = rows.order_by("-environment__is_production", "environment__name", "model__name")
    return [endpoint_card(actor, row) for row in ordered]


def endpoint(actor: Actor, endpoint_id: str) -> EndpointCard:
    """Raises NotFound."""
    row = gate.endpoint_for(actor, endpoint_id)
    return endpoint_card(actor, endpoint_rows(actor).get(pk=row.pk))


def rollback_targets(actor: Actor, endpoint_id: str) -> list[ReleaseRow]:
    """Releases that were promoted once and are not live now, the newest first. Raises NotFound."""
    row = gate.endpoint_for(actor, endpoint_id)
    promoted = Rollout.objects.filter(target_release=OuterRef("pk"), outcome="promoted")
    found = (
        Release.objects.filter(Exists(promoted), endpoint=row)
        .exclude(pk=row.stable_release_id)
        .select_related("version", "endpoint")
        .order_by("-version__number", "-created_at")
    )
    return [release_row(release) for release in found[:50]]


def release_rows(actor: Actor, endpoint_id: str) -> QuerySet[Release]:
    """Raises NotFound for the endpoint."""
    row = gate.endpoint_for(actor, endpoint_id)
    return Release.objects.filter(endpoint=row).select_related("version", "endpoint")


def release(actor: Actor, release_id: str) -> ReleaseRow:
    """Raises NotFound."""
    return release_row(gate.release_for(actor, release_id))


def endpoint_rows(
    actor: Actor, *, environment: str | None = None, model: str | None = None
) -> QuerySet[Endpoint]:
    """With all that a card shows, in a number of queries that does not depend on the rows'."""
    rows = gate.endpoints(actor)
    if environment is not None:
        rows = rows.filter(environment__name=environment)
    if model is not None:
        rows = rows.filter(model__name=model)
    earlier = Rollout.objects.filter(endpoint=OuterRef("pk"), outcome="promoted").exclude(
        target_release=OuterRef("stable_release")
    )
    unfinished = rollouts.detailed(Rollout.objects.exclude(phase="done")).order_by("-number")
    latest = rollouts.detailed(Rollout.objects.all()).order_by("-number")[:1]
    gateways = Gateway.objects.filter(removed_at=None).order_by("name")
    return (
        rows.select_related("model", "environment", "stable_release__version")
        .annotate(has_earlier=Exists(earlier))
        .prefetch_related(
            Prefetch("routes", Route.objects.select_related("release__version")),
            Prefetch("rollouts", unfinished, to_attr="unfinished"),
            Prefetch("rollouts", latest, to_attr="latest"),
            Prefetch("releases", _running_releases(), to_attr="running"),
            Prefetch("environment__gateways", gateways, to_attr="registered"),
        )
    )


def endpoint_card(actor: Actor, row: Endpoint) -> EndpointCard:
    """`row` comes from `endpoint_rows`."""
    unfinished: list[Rollout] = getattr(row, "unfinished", [])
    latest: list[Rollout] = getattr(row, "latest", [])
    active = rollouts.rollout_card(actor, _foremost(unfinished)) if unfinished else None
    copies = _replicas(row)
    state, sentence = _state(row, copies, active)
    return EndpointCard(
        id=row.public_id,
        name=row.model.name,
        model=row.model.name,
        environment=row.environment.name,
        is_production=row.environment.is_production,
        url=_url(row),
        is_open=row.is_open,
        replicas=row.replicas,
        state=state,
        sentence=sentence,
        stable_release=_stable(row),
        traffic=_traffic(row),
        replica_list=copies,
        active_rollout=active,
        latest_rollout=rollouts.rollout_card(actor, latest[0]) if latest else None,
        cannot_roll_back=_cannot_roll_back(actor, row, unfinished),
        cannot_declare=_cannot_declare(actor, row),
        revision=row.revision,
        created_at=row.created_at,
    )


def release_row(release: Release) -> ReleaseRow:
    return ReleaseRow(
        id=release.public_id,
        endpoint=release.endpoint.public_id,
        version=release.version.number,
        digest=release.digest,
        image_digest=release.image.digest if release.image else "",
        config=release.config,
        created_at=release.created_at,
    )


def replica_row(copy: Replica, version: int) -> ReplicaRow:
    """Needs `copy.release` and `copy.host`."""
    return ReplicaRow(
        id=copy.public_id,
        release=copy.release.public_id,
        version=version,
        host=copy.host.name,
        host_silent=copy.ended_at is None and host_state(copy.host) == "silent",
        slot=copy.slot,
        state=copy.state,
        address=copy.address,
        port=copy.port,
        ready_at=copy.ready_at,
        ended_at=copy.ended_at,
        failure=copy.failure,
        created_at=copy.created_at,
    )


def shown_replicas() -> Q:
    """Those that may run, and those that failed lately."""
    lately = Q(state=Replica.State.FAILED, ended_at__gte=clock.now() - _FAILURES_SHOWN)
    return Q(state__in=Replica.PRESENT) | lately


def _running_releases() -> QuerySet[Release]:
    copies = Replica.objects.filter(shown_replicas()).select_related("host")
    with_copies = Replica.objects.filter(shown_replicas(), release=OuterRef("pk"))
    return (
        Release.objects.filter(Exists(with_copies))
        .select_related("version")
        .prefetch_related(Prefetch("replicas", copies.order_by("slot", "pk"), to_attr="copies"))
    )


def _replicas(row: Endpoint) -> tuple[ReplicaRow, ...]:
    found: list[Release] = getattr(row, "running", [])
    return tuple(
        replica_row(copy, release.version.number)
        for release in sorted(found, key=lambda release: release.version.number)
        for copy in getattr(release, "copies", [])
    )


def _foremost(unfinished: list[Rollout]) -> Rollout:
    """The one that moves; of those that only settle, the newest."""
    moving = [row for row in unfinished if row.phase in Rollout.ACTIVE]
    waiting = [row for row in unfinished if row.phase == "pending"]
    return (moving or waiting or unfinished)[0]


def _state(
    row: Endpoint, copies: tuple[ReplicaRow, ...], active: RolloutCard | None
) -> tuple[str, str]:
    if active is not None and active.status.phase in _MOVING:
        return active.status.badge, active.status.sentence
    stable = row.stable_release
    if stable is None:
        return progress.endpoint_state(progress.Serving(None, row.replicas, 0))
    mine = [copy for copy in copies if copy.release == stable.public_id]
    serving = progress.Serving(
        version=stable.version.number,
        wanted=row.replicas,
        ready=sum(copy.state == Replica.State.READY for copy in mine),
        silent_hosts=tuple(sorted({copy.host for copy in mine if copy.host_silent})),
    )
    return progress.endpoint_state(serving)


def _stable(row: Endpoint) -> ReleaseRow | None:
    if row.stable_release is None:
        return None
    row.stable_release.endpoint = row
    return release_row(row.stable_release)


def _traffic(row: Endpoint) -> tuple[TrafficRow, ...]:
    rows = [
        TrafficRow(
            route.release.public_id,
            route.release.version.number,
            route.percent,
            route.mirror_percent,
        )
        for route in row.routes.all()
        if route.percent or route.mirror_percent
    ]
    return tuple(sorted(rows, key=lambda route: (-route.percent, route.release)))


def _url(row: Endpoint) -> str:
    """At the environment's first gateway; empty while there is none."""
    registered: list[Gateway] = getattr(row.environment, "registered", [])
    if not registered:
        return ""
    address = registered[0].address
    base = address if "://" in address else f"http://{address}"
    return f"{base}/v2/models/{row.model.name}"


def _cannot_declare(actor: Actor, row: Endpoint) -> str:
    action = "endpoint.close" if row.is_open else "endpoint.open"
    return authorize.verdict(actor, action, subjects.of_endpoint(row)).reason


def _cannot_roll_back(actor: Actor, row: Endpoint, unfinished: list[Rollout]) -> str:
    verdict = authorize.verdict(actor, "endpoint.rollback", subjects.of_endpoint(row))
    if not verdict:
        return verdict.reason
    moving = any(each.phase in _MOVING for each in unfinished)
    if getattr(row, "has_earlier", False) or (moving and row.stable_release_id):
        return ""
    return "There is no earlier release to go back to."
