"""Adding and removing hosts."""

from __future__ import annotations

from django.conf import settings
from django.db import IntegrityError, transaction

from core import clock, live
from core.errors import Conflict, NotAllowed
from deployments import wakeups
from deployments.domain import naming
from deployments.models import Environment, Host, Replica
from deployments.selectors import gate, subjects
from deployments.services import changes
from governance import audit, authorize
from governance.domain.access import Actor, Subject

MAX_CAPACITY = 10_000


def add(
    *,
    actor: Actor,
    environment: str,
    name: str,
    kind: str = Host.Kind.PROCESS,
    address: str = "",
    capacity: int = 32,
) -> Host:
    """A host that from now on takes replicas.

    Raises:
        NotFound: the environment.
        NotAllowed: the actor may not, or `host:kind-not-allowed` by these settings.
        Invalid: `invalid_name`, `unknown_choice`, `unexpected_address`, `out_of_bounds`.
        Conflict: `host:name-taken`.
    """
    place = gate.environment_for(actor, environment)
    authorize.require(actor, "host.add", Subject("host", environment_id=place.pk))
    changes.require_name(naming.problem_with(name))
    _require_kind(kind, address)
    if not 1 <= capacity <= MAX_CAPACITY:
        raise changes.wrong("capacity", "out_of_bounds", f"This is 1 to {MAX_CAPACITY}.")
    with transaction.atomic():
        host = _create(place, name, kind, capacity)
        audit.record(actor, "host.add", subjects.of_host(host), name=name, kind=kind)
        live.changed("fleet", host.revision)
        # A rollout may have been waiting for room.
        wakeups.gateway_acknowledged(place.pk)
    return host


def remove(*, actor: Actor, host_id: str, revision: int) -> None:
    """Forget a host on which nothing runs. Its row stays for the history of its replicas.

    Raises:
        NotFound, NotAllowed, Stale.
        Conflict: `host:has-replicas`.
    """
    host = gate.host_for(actor, host_id)
    authorize.require(actor, "host.remove", subjects.of_host(host))
    with transaction.atomic():
        # The row is claimed first: a replica that is placed meanwhile finds the host gone or is
        # found here.
        changes.write(host, revision, removed_at=clock.now())
        running = Replica.objects.filter(host=host, state__in=Replica.PRESENT).count()
        if running:
            raise Conflict(
                f"{running} replica(s) still run on the host {host.name!r}; roll their endpoints"
                " to other hosts first.",
                code="host:has-replicas",
                extra={"replicas": running},
            )
        audit.record(actor, "host.remove", subjects.of_host(host), name=host.name)
        live.changed("fleet", host.revision)


def _require_kind(kind: str, address: str) -> None:
    if kind not in Host.Kind.values:
        sentence = f"There is no kind {kind[:40]!r}; one of {', '.join(Host.Kind.values)}."
        raise changes.wrong("kind", "unknown_choice", sentence)
    if kind == Host.Kind.PROCESS and not settings.CONFIG.process_hosts_allowed:
        raise NotAllowed(
            "Hosts of kind process share this machine's account and are only for the embedded"
            " profile; add a Docker host.",
            code="host:kind-not-allowed",
        )
    if address:
        sentence = "A host of kind process is this machine and has no address."
        raise changes.wrong("address", "unexpected_address", sentence)


def _create(place: Environment, name: str, kind: str, capacity: int) -> Host:
    try:
        with transaction.atomic():
            return Host.objects.create(environment=place, name=name, kind=kind, capacity=capacity)
    except IntegrityError:
        raise Conflict(
            f"The environment {place.name!r} already has a host {name!r}.", code="host:name-taken"
        ) from None
