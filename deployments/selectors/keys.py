"""Reading endpoint keys: which are in force, and what they have used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from django.db.models import Q, QuerySet

from core import clock
from deployments.domain.routing_inputs import Grant
from deployments.models import Endpoint, EndpointKey, KeyUsage


def grants(endpoint: Endpoint) -> tuple[Grant, ...]:
    """The keys that this endpoint's gateways admit now, in the order of their ids."""
    return grants_of([endpoint.pk]).get(endpoint.pk, ())


def grants_of(endpoint_ids: Iterable[str]) -> dict[str, tuple[Grant, ...]]:
    """The same for many endpoints, in two queries. Endpoints without a key are left out."""
    links = (
        EndpointKey.endpoints.through.objects.filter(
            _in_force("endpointkey__"), endpoint_id__in=list(endpoint_ids)
        )
        .select_related("endpointkey")
        .order_by("endpointkey_id")
    )
    limited = [link.endpointkey_id for link in links if link.endpointkey.requests_per_day]
    used = used_on(clock.now().date(), limited)
    found: dict[str, list[Grant]] = defaultdict(list)
    for link in links:
        key: EndpointKey = link.endpointkey
        count = used.get((key.pk, link.endpoint_id), 0)
        found[link.endpoint_id].append(
            Grant(
                key_id=key.public_id,
                requests_per_minute=key.requests_per_minute,
                exhausted=key.requests_per_day is not None and count >= key.requests_per_day,
            )
        )
    return {endpoint_id: tuple(keys) for endpoint_id, keys in found.items()}


def used_on(day: date, key_ids: Iterable[str]) -> dict[tuple[str, str], int]:
    """Inferences of that day (UTC) by key and endpoint."""
    wanted = list(key_ids)
    if not wanted:
        return {}
    rows: QuerySet[KeyUsage] = KeyUsage.objects.filter(day=day, key_id__in=wanted)
    return {(row.key_id, row.endpoint_id): row.requests for row in rows}


def _in_force(path: str = "") -> Q:
    return Q(**{f"{path}revoked_at": None, f"{path}expires_at__gt": clock.now()})
