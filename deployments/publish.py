"""From route rows, ready replicas and keys to the snapshots that gateways poll.

Called inside the transaction that changes what a snapshot depends on, so that a decision and its
traffic, or a revocation and the end of its traffic, are one commit. The environment's row is
locked: generations are given out one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.http import http_date

from core import clock
from deployments import wakeups
from deployments.domain import keys as rules
from deployments.domain import routing
from deployments.domain.rollout import ReasonCode
from deployments.models import Endpoint, Environment, Publication, Replica, Route, Snapshot
from deployments.selectors import keys
from wire.serving import ServingConfig

_KEPT_PUBLICATIONS = 30

Content = Mapping[str, Any]
"""What one endpoint looks like in one type: see `Publication`."""


def publish(environment_id: str) -> None:
    """Store new snapshots of this environment if anything in them differs."""
    with transaction.atomic():
        environment = Environment.objects.select_for_update().get(pk=environment_id)
        endpoints = _with_keys(_endpoints(environment))
        desired = routing.derive(
            routing.EnvironmentRoutes(
                environment=environment.name,
                smoke_secret=environment.smoke_secret,
                endpoints=tuple(endpoint.as_route() for endpoint in endpoints),
                quota_resets_at=http_date(rules.next_day(clock.now()).timestamp()),
            )
        )
        changed = [
            _store(environment, type_url, desired[type_url], endpoints)
            for type_url in routing.TYPE_URLS
        ]
        _note_admitted(environment, endpoints)
        if any(changed):
            wakeups.snapshots_published()


def admission_differs() -> list[str]:
    """The environments in which a key has ended, or was used up or filled again, since their
    gateways were told. Time does that and nobody says so; so this is asked again and again, and
    costs four queries however many keys there are."""
    rows = list(Endpoint.objects.only("environment_id", "is_open"))
    granted = keys.grants_of([row.pk for row in rows])
    told = dict(
        Publication.objects.filter(type_url=Publication.ADMITTED).values_list(
            "endpoint_id", "content"
        )
    )
    return sorted(
        {
            row.environment_id
            for row in rows
            if told.get(row.pk, _NOBODY) != _admitted(row, granted.get(row.pk, ()))
        }
    )


def clusters_differ(endpoint: Endpoint) -> bool:
    """Whether the ready replicas of this endpoint are others than those that were published."""
    published = (
        Publication.objects.filter(endpoint=endpoint, type_url=routing.CLUSTER_TYPE)
        .order_by("-generation")
        .values_list("content", flat=True)
        .first()
    )
    return (published or {}) != _Endpoint(endpoint).contents[routing.CLUSTER_TYPE]


def _admitted(row: Endpoint, grants: Iterable[routing.Grant]) -> Content:
    named = {grant.key_id: [grant.requests_per_minute, grant.exhausted] for grant in grants}
    return {"open": row.is_open, "keys": named}


_NOBODY: Content = {"open": False, "keys": {}}


def _with_keys(rows: Sequence[Endpoint]) -> list[_Endpoint]:
    granted = keys.grants_of([row.pk for row in rows])
    return [_Endpoint(row, granted.get(row.pk, ())) for row in rows]


class _Endpoint:
    """One endpoint's routes, the addresses behind them, and who may ask for it."""

    def __init__(self, row: Endpoint, grants: tuple[routing.Grant, ...] = ()) -> None:
        self.row = row
        self.grants = grants
        self.routes: list[Route] = sorted(row.routes.all(), key=lambda route: route.release_id)
        ready = Replica.objects.filter(
            _may_answer(),
            release__in=[route.release_id for route in self.routes],
            port__isnull=False,
        )
        # Without a ready replica there is no cluster, so the gateways do not know the release.
        self.addresses: dict[str, list[list[Any]]] = {}
        for replica in ready.order_by("pk"):
            addresses = self.addresses.setdefault(replica.release_id, [])
            addresses.append([replica.address, replica.port, replica.grpc_port])

    @property
    def contents(self) -> dict[str, Content]:
        shares = {
            route.release_id: [route.percent, route.mirror_percent]
            for route in self.routes
            if route.percent or route.mirror_percent
        }
        return {routing.CLUSTER_TYPE: self.addresses, routing.ROUTE_TYPE: shares}

    def as_route(self) -> routing.EndpointRoute:
        return routing.EndpointRoute(
            name=self.row.model.name,
            shares=tuple(
                routing.Share(
                    release_id=route.release.public_id,
                    version=route.release.version.number,
                    percent=route.percent,
                    mirror_percent=route.mirror_percent,
                )
                for route in self.routes
                if route.percent or route.mirror_percent
            ),
            # A release without weight is reached by smoke inferences only: `/versions/N` must be
            # no way around the steps, or around the approval, that stand before its traffic.
            clusters=tuple(
                routing.ReleaseCluster(
                    route.release.public_id,
                    tuple(
                        routing.Address(*each) for each in self.addresses.get(route.release_id, [])
                    ),
                    route.release.version.number,
                )
                for route in self.routes
            ),
            is_open=self.row.is_open,
            keys=self.grants,
            max_body_bytes=max(
                (ServingConfig.from_json(r.release.config).max_body_bytes for r in self.routes),
                default=ServingConfig().max_body_bytes,
            ),
        )


def _may_answer() -> Q:
    """What is ready, and what was on a host that somebody gave up: until others have taken its
    place it may well serve, and a gateway finds out by itself if it does not."""
    given_up = Q(state=Replica.State.FAILED, failure__code=ReasonCode.HOST_ABANDONED)
    return Q(state=Replica.State.READY) | (given_up & Q(ready_at__isnull=False))


def _endpoints(environment: Environment) -> list[Endpoint]:
    found = Endpoint.objects.filter(environment=environment).select_related("model")
    return list(found.prefetch_related("routes__release__version").order_by("pk"))


def _store(
    environment: Environment,
    type_url: str,
    resources: list[routing.Resource],
    endpoints: list[_Endpoint],
) -> bool:
    content_hash = routing.content_hash(resources)
    current = Snapshot.objects.filter(environment=environment, type_url=type_url).first()
    if current and current.content_hash == content_hash:
        return False
    generation = current.generation + 1 if current else 1
    Snapshot.objects.update_or_create(
        environment=environment,
        type_url=type_url,
        defaults={
            "generation": generation,
            "content_hash": content_hash,
            "resources": resources,
            "published_at": clock.now(),
        },
    )
    _tell_endpoints(type_url, generation, endpoints)
    return True


def _note_admitted(environment: Environment, endpoints: list[_Endpoint]) -> None:
    """Write from which generation on the routes admit whom. An endpoint without a live release
    admits nobody in any case, so its keys may differ without a new generation."""
    rows = Publication.objects.filter(
        endpoint__environment=environment, type_url=Publication.ADMITTED
    )
    told = dict(rows.values_list("endpoint_id", "content"))
    routes = Snapshot.objects.get(environment=environment, type_url=routing.ROUTE_TYPE)
    for endpoint in endpoints:
        content = _admitted(endpoint.row, endpoint.grants)
        if told.get(endpoint.row.pk, _NOBODY) != content:
            Publication.objects.update_or_create(
                endpoint=endpoint.row,
                type_url=Publication.ADMITTED,
                defaults={"generation": routes.generation, "content": content},
            )


def _tell_endpoints(type_url: str, generation: int, endpoints: list[_Endpoint]) -> None:
    """Write what changed for whom.

    Only the newest are kept. A gateway that acknowledged something older is one of which nothing
    is known, which is never taken for agreement.
    """
    rows = Publication.objects.filter(
        endpoint__in=[endpoint.row for endpoint in endpoints], type_url=type_url
    )
    history: dict[str, list[Publication]] = {}
    for row in rows.order_by("generation"):
        history.setdefault(row.endpoint_id, []).append(row)
    for endpoint in endpoints:
        content = endpoint.contents[type_url]
        earlier = history.get(endpoint.row.pk, [])
        if not earlier or earlier[-1].content != content:
            Publication.objects.create(
                endpoint=endpoint.row, type_url=type_url, generation=generation, content=content
            )
        for row in earlier[:-_KEPT_PUBLICATIONS]:
            row.delete()
