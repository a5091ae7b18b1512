"""Registering and removing gateways."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction

from core import clock, live
from core.errors import Conflict
from deployments import wakeups
from deployments.domain import naming
from deployments.domain.gateways import new_token, token_hash
from deployments.models import Environment, Gateway
from deployments.selectors import gate, subjects
from deployments.services import changes
from governance import audit, authorize
from governance.domain.access import Actor, Subject

LONGEST_ADDRESS = 200
_HOST = re.compile(r"[0-9A-Za-z.:_-]+")


@dataclass(frozen=True, slots=True)
class Registered:
    """A gateway and its token, which is shown this once: only its hash is kept."""

    gateway: Gateway
    token: str = field(repr=False)


def register(*, actor: Actor, environment: str, name: str, address: str) -> Registered:
    """A gateway at `address` (http or https, no path), which must acknowledge from now on whatever
    a rollout of its environment changes.

    Raises:
        NotFound, NotAllowed.
        Invalid: `invalid_name`, `invalid_address`, `plain_transport`.
        Conflict: `gateway:name-taken`.
    """
    place = gate.environment_for(actor, environment)
    authorize.require(actor, "gateway.add", Subject("gateway", environment_id=place.pk))
    changes.require_name(naming.problem_with(name))
    checked = _address(address)
    token = new_token()
    with transaction.atomic():
        gateway = _create(place, name, checked, token)
        audit.record(actor, "gateway.add", subjects.of_gateway(gateway), name=name)
        _tell(gateway)
    return Registered(gateway, token)


def renew_token(*, actor: Actor, gateway_id: str, revision: int) -> Registered:
    """A new token for a gateway whose old one is lost or known to others; the old one ends now.

    Raises:
        NotFound, NotAllowed, Stale.
    """
    gateway = gate.gateway_for(actor, gateway_id)
    authorize.require(actor, "gateway.add", subjects.of_gateway(gateway))
    token = new_token()
    with transaction.atomic():
        changes.write(gateway, revision, token_hash=token_hash(token))
        audit.record(actor, "gateway.add", subjects.of_gateway(gateway), renewed=True)
    return Registered(gateway, token)


def move(*, actor: Actor, gateway_id: str, revision: int, address: str) -> Gateway:
    """The gateway answers at another address from now on.

    Raises:
        NotFound, NotAllowed, Stale.
        Invalid: `invalid_address`, `plain_transport`.
    """
    gateway = gate.gateway_for(actor, gateway_id)
    authorize.require(actor, "gateway.add", subjects.of_gateway(gateway))
    with transaction.atomic():
        changes.write(gateway, revision, address=_address(address))
        audit.record(actor, "gateway.add", subjects.of_gateway(gateway), moved=True)
        _tell(gateway)
    return gateway


def remove(*, actor: Actor, gateway_id: str, revision: int) -> None:
    """Forget a gateway. Its token ends at once, and rollouts no longer wait for it.

    Raises:
        NotFound, NotAllowed, Stale.
    """
    gateway = gate.gateway_for(actor, gateway_id)
    authorize.require(actor, "gateway.remove", subjects.of_gateway(gateway))
    with transaction.atomic():
        changes.write(gateway, revision, removed_at=clock.now())
        audit.record(actor, "gateway.remove", subjects.of_gateway(gateway), name=gateway.name)
        _tell(gateway)


def _tell(gateway: Gateway) -> None:
    live.changed("fleet", gateway.revision)
    wakeups.gateway_acknowledged(gateway.environment_id)


def _create(place: Environment, name: str, address: str, token: str) -> Gateway:
    try:
        with transaction.atomic():
            return Gateway.objects.create(
                environment=place, name=name, address=address, token_hash=token_hash(token)
            )
    except IntegrityError:
        raise Conflict(
            f"The environment {place.name!r} already has a gateway {name!r}.",
            code="gateway:name-taken",
        ) from None


def _address(text: str) -> str:
    """`text` without a slash at its end."""
    address = text.rstrip("/")
    if len(address) > LONGEST_ADDRESS or not _is_origin(address):
        sentence = "An address is http:// or https:// with a host and perhaps a port, no path."
        raise changes.wrong("address", "invalid_address", sentence)
    if settings.CONFIG.profile == "production" and not address.startswith("https://"):
        sentence = "In production clients and their keys reach a gateway over https:// only."
        raise changes.wrong("address", "plain_transport", sentence)
    return address


def _is_origin(address: str) -> bool:
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    plain = f"{parts.scheme}://{parts.netloc}" == address and "@" not in parts.netloc
    host = parts.hostname or ""
    return (
        plain
        and parts.scheme in ("http", "https")
        and bool(_HOST.fullmatch(host))
        and (port is None or port > 0)
    )
