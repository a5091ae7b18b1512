"""Endpoint keys: issued, edited, rotated and revoked.

Each change is published to the gateways in its own transaction. A key reaches several endpoints;
whoever changes it needs the right to at each endpoint that the change is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from core import clock, live
from core.errors import Conflict
from deployments import publish
from deployments.adapters import endpoint_keys
from deployments.domain import keys as rules
from deployments.models import Endpoint, EndpointKey, Environment
from deployments.selectors import gate, subjects
from deployments.services import changes
from governance import audit, authorize
from governance.domain.access import Actor


class Unset:
    """What a change leaves as it is; None is a value."""


UNSET = Unset()


@dataclass(frozen=True, slots=True)
class Issued:
    """A new key; `text` exists nowhere else and is never shown again."""

    key: EndpointKey
    text: str


def issue(
    *,
    actor: Actor,
    environment: str,
    name: str,
    endpoints: Sequence[str],
    expires_in_days: int = rules.DEFAULT_DAYS,
    requests_per_minute: int | None = None,
    requests_per_day: int | None = None,
) -> Issued:
    """A key with which a client may ask these endpoints (by name) of one environment.

    Limits hold for each endpoint by itself; without them there are none.

    Raises:
        NotFound: the environment or an endpoint.
        NotAllowed: the actor may not issue keys for each of them.
        Invalid: `invalid_name`, `no_endpoints`, `too_many_endpoints`, `out_of_bounds`.
    """
    place = gate.environment_for(actor, environment)
    wanted = _endpoints(actor, place, endpoints)
    _require(actor, "key.issue", wanted)
    changes.require_name(rules.problem_with_name(name))
    expires_at = _expiry(expires_in_days)
    limits = _limits(requests_per_minute, requests_per_day)
    with transaction.atomic():
        issued = _create(actor, place, wanted, name=name, expires_at=expires_at, **limits)
        audit.record(
            actor,
            "key.issue",
            subjects.of_key(issued.key, wanted),
            name=name,
            endpoints=[each.public_id for each in wanted],
            expires_at=expires_at,
            limits=limits,
        )
        _publish(place, wanted)
    return issued


def edit(
    *,
    actor: Actor,
    key_id: str,
    revision: int,
    name: str | Unset = UNSET,
    endpoints: Sequence[str] | Unset = UNSET,
    requests_per_minute: int | Unset | None = UNSET,
    requests_per_day: int | Unset | None = UNSET,
) -> EndpointKey:
    """Change what is given. The key itself stays the same, and so does the day it expires on.

    `endpoints` are all that it shall reach, of those that the actor sees.

    Raises:
        NotFound, NotAllowed, Stale.
        Invalid: as for `issue`.
        Conflict: `key:ended`.
    """
    key = gate.key_for(actor, key_id)
    before = list(key.endpoints.select_related("model"))
    wanted = None if isinstance(endpoints, Unset) else _endpoints(actor, key.environment, endpoints)
    after = before if wanted is None else [*wanted, *_unseen(actor, key, before)]
    limits: dict[str, Any] = _limits(requests_per_minute, requests_per_day)
    if not isinstance(name, Unset):
        changes.require_name(rules.problem_with_name(name))
        limits["name"] = name
    # Another scope is about the endpoints that come or go, anything else about all.
    moved = set(before) ^ set(after) or set(wanted or ())
    _require(actor, "key.edit", {*before, *after} if limits or not moved else moved)
    _refuse_if_ended(key)
    was = {field: getattr(key, field) for field in limits}
    with transaction.atomic():
        changes.write(key, revision, **limits)
        key.endpoints.set(after)
        audit.record(
            actor,
            "key.edit",
            subjects.of_key(key, after),
            before=was | {"endpoints": [each.public_id for each in before]},
            after=limits | {"endpoints": [each.public_id for each in after]},
        )
        _publish(key.environment, [*before, *after])
    return key


def rotate(
    *,
    actor: Actor,
    key_id: str,
    revision: int,
    overlap_hours: float = rules.DEFAULT_OVERLAP_HOURS,
    expires_in_days: int = rules.DEFAULT_DAYS,
) -> Issued:
    """A new key with the same name, endpoints and limits. The old one ends after the overlap (at
    once, when that is 0), or when it would have ended anyway.

    Raises:
        NotFound, NotAllowed, Stale.
        Invalid: `out_of_bounds`.
        Conflict: `key:ended`, `key:already-rotated`.
    """
    key = gate.key_for(actor, key_id)
    reached = list(key.endpoints.select_related("model"))
    _require(actor, "key.rotate", reached)
    if not 0 <= overlap_hours <= rules.MAX_OVERLAP_HOURS:
        sentence = f"The old key stays for 0 to {rules.MAX_OVERLAP_HOURS:g} hours."
        raise changes.wrong("overlap_hours", "out_of_bounds", sentence)
    expires_at = _expiry(expires_in_days)
    _refuse_if_ended(key)
    if key.rotated_to_id:
        raise Conflict("This key was replaced by a new one before.", code="key:already-rotated")
    limits = {
        "requests_per_minute": key.requests_per_minute,
        "requests_per_day": key.requests_per_day,
    }
    with transaction.atomic():
        issued = _create(
            actor, key.environment, reached, name=key.name, expires_at=expires_at, **limits
        )
        until = min(key.expires_at, clock.now() + timedelta(hours=overlap_hours))
        changes.write(key, revision, rotated_to=issued.key, expires_at=until)
        audit.record(
            actor,
            "key.rotate",
            subjects.of_key(key, reached),
            name=key.name,
            replaced_by=issued.key.public_id,
            old_expires_at=until,
            expires_at=expires_at,
        )
        _publish(key.environment, reached)
    return issued


def revoke(*, actor: Actor, key_id: str) -> EndpointKey:
    """Gateways refuse it from their next configuration on. Revoking twice is revoking once.

    Raises:
        NotFound, NotAllowed.
    """
    key = gate.key_for(actor, key_id)
    reached = list(key.endpoints.select_related("model"))
    _require(actor, "key.revoke", reached)
    with transaction.atomic():
        unrevoked = EndpointKey.objects.filter(pk=key.pk, revoked_at=None)
        if unrevoked.update(revoked_at=clock.now(), revision=F("revision") + 1):
            audit.record(actor, "key.revoke", subjects.of_key(key, reached), name=key.name)
            _publish(key.environment, reached)
    key.refresh_from_db()
    return key


def _endpoints(actor: Actor, place: Environment, names: Sequence[str]) -> list[Endpoint]:
    """In the order of their names, each once."""
    wanted = sorted(set(names))
    if not wanted:
        raise changes.wrong("endpoints", "no_endpoints", "A key is for at least one endpoint.")
    if len(wanted) > rules.MAX_ENDPOINTS:
        sentence = f"A key is for {rules.MAX_ENDPOINTS} endpoints at most."
        raise changes.wrong("endpoints", "too_many_endpoints", sentence)
    return [gate.endpoint_named(actor, place, name) for name in wanted]


def _unseen(actor: Actor, key: EndpointKey, reached: list[Endpoint]) -> list[Endpoint]:
    """What the key reaches and the actor does not see: nobody takes that away unknowingly."""
    seen = set(gate.endpoints(actor).filter(keys=key))
    return [endpoint for endpoint in reached if endpoint not in seen]


def _require(actor: Actor, action: str, endpoints: Iterable[Endpoint]) -> None:
    for endpoint in endpoints:
        authorize.require(actor, action, subjects.of_endpoint(endpoint))


def _refuse_if_ended(key: EndpointKey) -> None:
    if key.revoked_at is not None or key.expires_at <= clock.now():
        word = "is revoked" if key.revoked_at else "has expired"
        raise Conflict(f"This key {word}; issue a new one.", code="key:ended")


def _expiry(days: int) -> datetime:
    if not 1 <= days <= rules.MAX_DAYS:
        sentence = f"A key lives from 1 to {rules.MAX_DAYS} days."
        raise changes.wrong("expires_in_days", "out_of_bounds", sentence)
    return clock.now() + timedelta(days=days)


def _limits(per_minute: int | Unset | None, per_day: int | Unset | None) -> dict[str, int | None]:
    given = {"requests_per_minute": per_minute, "requests_per_day": per_day}
    limits = {name: value for name, value in given.items() if not isinstance(value, Unset)}
    for name, value in limits.items():
        if value is not None and not 1 <= value <= rules.MAX_LIMIT:
            raise changes.wrong(name, "out_of_bounds", f"This is 1 to {rules.MAX_LIMIT}.")
    return limits


def _create(
    actor: Actor,
    place: Environment,
    endpoints: list[Endpoint],
    *,
    name: str,
    expires_at: datetime,
    **limits: int | None,
) -> Issued:
    key = EndpointKey.objects.create(
        environment=place,
        name=name,
        created_by_id=actor.user_id or None,
        expires_at=expires_at,
        **limits,
    )
    key.endpoints.set(endpoints)
    claims = {
        "iss": endpoint_keys.ISSUER,
        "aud": place.name,
        "sub": key.public_id,
        "jti": key.public_id,
        "iat": int(clock.timestamp()),
        "exp": int(expires_at.timestamp()),
    }
    return Issued(key, endpoint_keys.mint(claims))


def _publish(place: Environment, endpoints: Iterable[Endpoint]) -> None:
    publish.publish(place.pk)
    for endpoint in set(endpoints):
        live.changed(f"endpoint:{endpoint.public_id}", endpoint.revision)
