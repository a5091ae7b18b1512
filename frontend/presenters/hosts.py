"""Hosts and gateways of an environment, as people see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from deployments.selectors.cards import EnvironmentRow, GatewayRow
from deployments.selectors.cards import HostRow as Row
from frontend.words import Badge, badge_of

_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class HostCard:
    """`remarks` are what somebody should do something about."""

    id: str
    name: str
    kind: str
    badge: Badge
    address: str
    publish_address: str
    engine: str
    machine: str
    used: str
    room: str
    replicas: int
    last_contact_at: datetime | None
    remarks: tuple[str, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class GatewayCard:
    name: str
    badge: Badge
    address: str
    last_poll_at: datetime | None
    detail: str


@dataclass(frozen=True, slots=True)
class Place:
    name: str
    rules: str
    hosts: tuple[HostCard, ...]
    gateways: tuple[GatewayCard, ...]


def place(row: EnvironmentRow) -> Place:
    rules = f"bakes {row.bake_seconds:g} s · drains {row.drain_seconds:g} s"
    return Place(
        row.name,
        f"production · {rules}" if row.is_production else rules,
        tuple(host(each) for each in row.hosts),
        tuple(_gateway(each) for each in row.gateways),
    )


def host(row: Row) -> HostCard:
    return HostCard(
        id=row.id,
        name=row.name,
        kind=row.kind,
        badge=badge_of(row.state),
        address=row.address or "this machine",
        publish_address=row.publish_address,
        engine=f"Docker {row.engine.version}" if row.engine.version else "no Engine",
        machine=_machine(row),
        used=f"{row.replicas} of {row.capacity}",
        room=f"room for {row.free}" if row.free else "full",
        replicas=row.replicas,
        last_contact_at=row.last_contact_at,
        remarks=tuple(_remarks(row)),
        revision=row.revision,
    )


def _machine(row: Row) -> str:
    engine = row.engine
    told = [engine.os] if engine.os else []
    if engine.cpus:
        told.append(f"{engine.cpus} CPU{'s' if engine.cpus > 1 else ''}")
    if engine.memory_bytes:
        told.append(f"{engine.memory_bytes / _GIB:.1f} GiB")
    told += [each for each in ("rootless", "userns") if each in engine.security]
    return ", ".join(told)


def _remarks(row: Row) -> list[str]:
    found = [row.last_error] if row.last_error else []
    if row.state == "silent" and row.replicas:
        found.append(
            "Silent is not empty: its replicas may still serve. Rollouts that concern them wait."
        )
    if row.kind == "docker" and row.state == "ok" and not row.engine.has_base_image:
        found.append("It lacks the base image, so no version can be built on it: make base-image.")
    return found


def _gateway(row: GatewayRow) -> GatewayCard:
    told = [
        f"{each.type}: rejected {each.rejected}, {each.reason}"
        if each.rejected > each.acknowledged
        else f"{each.type}: runs {each.acknowledged} of {each.served}"
        for each in row.resources
    ]
    return GatewayCard(
        row.name,
        badge_of(row.state),
        row.address,
        row.last_poll_at,
        " · ".join(told) or "It has not asked for anything yet.",
    )
