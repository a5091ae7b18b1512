"""Reading environments, their hosts and their gateways."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Prefetch, Q, QuerySet

from core import clock
from deployments.domain import routing
from deployments.models import Environment, Gateway, Host, Replica
from deployments.selectors import gate
from deployments.selectors.cards import (
    EngineRow,
    EnvironmentRow,
    GatewayRow,
    HostRow,
    ResourceRow,
)
from governance.domain.access import Actor

_SHORT = {routing.CLUSTER_TYPE: "clusters", routing.ROUTE_TYPE: "routes"}


def environments(actor: Actor) -> list[EnvironmentRow]:
    """Production last."""
    rows = environment_rows(actor).order_by("is_production", "name")
    return [environment_row(environment) for environment in rows]


def environment(actor: Actor, name: str) -> EnvironmentRow:
    """Raises NotFound."""
    gate.environment_for(actor, name)
    return environment_row(environment_rows(actor).get(name=name))


def host(actor: Actor, host_id: str) -> HostRow:
    """Raises NotFound."""
    return host_row(host_rows(actor).get(pk=gate.host_for(actor, host_id).pk))


def gateway(actor: Actor, gateway_id: str) -> GatewayRow:
    """Raises NotFound."""
    return gateway_row(gateway_rows(actor).get(pk=gate.gateway_for(actor, gateway_id).pk))


def environment_rows(actor: Actor) -> QuerySet[Environment]:
    return gate.environments(actor).prefetch_related(
        Prefetch("hosts", _counted(Host.objects.filter(removed_at=None)).order_by("name")),
        Prefetch("gateways", _with_states(Gateway.objects.filter(removed_at=None))),
    )


def environment_row(environment: Environment) -> EnvironmentRow:
    return EnvironmentRow(
        id=environment.public_id,
        name=environment.name,
        is_production=environment.is_production,
        bake_seconds=environment.bake_seconds,
        drain_seconds=environment.drain_seconds,
        hosts=tuple(host_row(host) for host in environment.hosts.all()),
        gateways=tuple(gateway_row(gateway) for gateway in environment.gateways.all()),
        created_at=environment.created_at,
        revision=environment.revision,
    )


def host_rows(actor: Actor) -> QuerySet[Host]:
    return _counted(gate.hosts(actor))


def host_row(host: Host) -> HostRow:
    running = getattr(host, "running", 0)
    return HostRow(
        id=host.public_id,
        name=host.name,
        environment=host.environment.name,
        kind=host.kind,
        address=host.address,
        publish_address=host.publish_address,
        has_credentials=bool(host.sealed_tls),
        engine=_engine(host),
        capacity=host.capacity,
        replicas=running,
        free=max(0, host.capacity - running),
        state=host_state(host),
        last_contact_at=host.last_contact_at,
        last_error=host.last_error,
        created_at=host.created_at,
        revision=host.revision,
    )


def host_state(host: Host) -> str:
    """ok, silent, or unknown until it was first heard of."""
    return _state(host.last_contact_at, settings.CONFIG.host_silence_seconds)


def gateway_rows(actor: Actor) -> QuerySet[Gateway]:
    return _with_states(gate.gateways(actor))


def gateway_row(gateway: Gateway) -> GatewayRow:
    return GatewayRow(
        id=gateway.public_id,
        name=gateway.name,
        environment=gateway.environment.name,
        address=gateway.address,
        state=_state(gateway.last_poll_at, settings.CONFIG.gateway_silence_seconds),
        last_poll_at=gateway.last_poll_at,
        resources=tuple(
            ResourceRow(
                type=_SHORT.get(state.type_url, state.type_url),
                served=state.served_generation,
                acknowledged=state.acked_generation,
                rejected=state.rejected_generation,
                reason=state.rejected_reason,
            )
            for state in gateway.states.all()
        ),
        created_at=gateway.created_at,
        revision=gateway.revision,
    )


def _engine(host: Host) -> EngineRow:
    said = host.engine
    return EngineRow(
        version=said.get("engine_version", ""),
        os=said.get("os", ""),
        cpus=said.get("cpus", 0),
        memory_bytes=said.get("memory_bytes", 0),
        has_base_image=bool(said.get("base_id")),
        security=tuple(said.get("security", ())),
    )


def _counted(hosts: QuerySet[Host]) -> QuerySet[Host]:
    present = Count("replicas", filter=Q(replicas__state__in=Replica.PRESENT))
    return hosts.select_related("environment").annotate(running=present)


def _with_states(gateways: QuerySet[Gateway]) -> QuerySet[Gateway]:
    return gateways.select_related("environment").prefetch_related("states").order_by("name")


def _state(last_seen: datetime | None, silence_seconds: float) -> str:
    if last_seen is None:
        return "unknown"
    return "ok" if last_seen >= clock.now() - timedelta(seconds=silence_seconds) else "silent"
