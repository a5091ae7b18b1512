"""The snapshot store over Django's rows, and who signs gateways' certificates.

Each call runs in a thread of the loop's pool, not in Django's one main thread, and gives its
database connection back before it returns: between two calls a held poll has none.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection, transaction

from core import clock, ids
from core.errors import NotFound
from core.pki import Authority, expires_at
from deployments import models, wakeups
from deployments.adapters import endpoint_keys
from deployments.domain.acknowledgement import Judgement, PollState
from deployments.xds.ports import Key, RegisteredGateway, Snapshot
from wire import identity

P = ParamSpec("P")
T = TypeVar("T")


def _in_thread(work: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    @functools.wraps(work)
    def with_connection(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        finally:
            connection.close()

    return sync_to_async(with_connection, thread_sensitive=False)


class DjangoSnapshotStore:
    """A `SnapshotStore`. Rows know no generation as 0; here it is None."""

    async def gateway(self, node_id: str) -> RegisteredGateway | None:
        return await _gateway(node_id)

    async def current(self, environment_id: str, type_url: str) -> Snapshot | None:
        return await _current(environment_id, type_url)

    async def generations(self) -> Mapping[Key, int]:
        return await _generations()

    async def judge(
        self, gateway_id: str, type_url: str, judge: Callable[[PollState], Judgement]
    ) -> Judgement:
        return await _judge(gateway_id, type_url, judge)

    async def note_rejection(
        self, gateway_id: str, type_url: str, generation: int, reason: str
    ) -> None:
        await _note_rejection(gateway_id, type_url, generation, reason)


async def tell_rollouts(environment_id: str) -> None:
    """The news for the reconcile loop."""
    await _tell_rollouts(environment_id)


async def certify(gateway_id: str, csr: str) -> Mapping[str, Any]:
    """A certificate for the key in this request, and what else the gateway must know to serve."""
    return await _certify(gateway_id, csr)


@_in_thread
def _gateway(node_id: str) -> RegisteredGateway | None:
    try:
        key = ids.parse(node_id, models.Gateway.PREFIX)
    except NotFound:
        return None
    found = models.Gateway.objects.filter(pk=key, removed_at__isnull=True).first()
    if found is None:
        return None
    return RegisteredGateway(found.pk, found.environment_id, found.token_hash)


@_in_thread
def _current(environment_id: str, type_url: str) -> Snapshot | None:
    found = models.Snapshot.objects.filter(environment_id=environment_id, type_url=type_url).first()
    return None if found is None else Snapshot(found.generation, found.resources)


@_in_thread
def _generations() -> Mapping[Key, int]:
    rows = models.Snapshot.objects.values_list("environment_id", "type_url", "generation")
    return {(environment, type_url): generation for environment, type_url, generation in rows}


@_in_thread
def _judge(gateway_id: str, type_url: str, judge: Callable[[PollState], Judgement]) -> Judgement:
    now = clock.now()
    with transaction.atomic():
        states = models.GatewayState.objects.select_for_update()
        row, _ = states.get_or_create(gateway_id=gateway_id, type_url=type_url)
        judged = judge(_state(row))
        if judged.state != _state(row):
            _write(row, judged.state)
            if judged.newly_acked:
                row.acked_at = now
            if judged.newly_rejected:
                row.rejected_at, row.rejected_reason = now, ""
            row.save()
        models.Gateway.objects.filter(pk=gateway_id).update(last_poll_at=now)
    return judged


@_in_thread
def _note_rejection(gateway_id: str, type_url: str, generation: int, reason: str) -> None:
    models.GatewayState.objects.filter(
        gateway_id=gateway_id, type_url=type_url, rejected_generation=generation
    ).update(rejected_reason=reason)


@_in_thread
def _tell_rollouts(environment_id: str) -> None:
    with transaction.atomic():
        wakeups.gateway_acknowledged(environment_id)


@_in_thread
def _certify(gateway_id: str, csr: str) -> Mapping[str, Any]:
    gateway = models.Gateway.objects.select_related("environment").get(pk=gateway_id)
    environment = gateway.environment.name
    authority: Authority = settings.AUTHORITY
    certificate = authority.sign(
        csr,
        identity.gateway(environment, gateway.public_id),
        hours=settings.CONFIG.certificate_hours,
        # Under which clients know it: what it may show them if it has no certificate of its own.
        names=[host] if (host := urlsplit(gateway.address).hostname) else [],
    )
    return {
        "certificate": certificate,
        "authority": authority.pem,
        "jwks": endpoint_keys.jwks(),
        "environment": environment,
        "expires_at": expires_at(certificate),
    }


def _state(row: models.GatewayState) -> PollState:
    return PollState(
        served=row.served_generation or None,
        served_count=row.served_count,
        acked=row.acked_generation or None,
        rejected=row.rejected_generation or None,
    )


def _write(row: models.GatewayState, state: PollState) -> None:
    row.served_generation = state.served or 0
    row.served_count = state.served_count
    row.acked_generation = state.acked or 0
    row.rejected_generation = state.rejected or 0
