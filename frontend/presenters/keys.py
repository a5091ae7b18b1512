"""Endpoint keys as pages show them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

from deployments.domain.keys import DEFAULT_DAYS, IN_FORCE
from deployments.selectors.cards import EndpointCard, KeyRow, KeyUse
from frontend.addresses import keys_url
from frontend.cards import ActionCard, DoorCard, KeyCard, KeyUseCard
from frontend.words import badge_of


@dataclass(frozen=True, slots=True)
class Filter:
    label: str
    query: str
    chosen: bool


def row(key: KeyRow) -> KeyCard:
    return KeyCard(
        id=key.id,
        name=key.name,
        url=reverse("key", args=[key.id]),
        environment=key.environment,
        badge=badge_of(key.state),
        in_force=key.state in IN_FORCE,
        usage=[_use(key, each) for each in key.usage],
        other_endpoints=key.other_endpoints,
        requests_per_minute=key.requests_per_minute,
        acknowledged=key.acknowledged,
        created_by=key.created_by,
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        rotated_to=key.rotated_to or "",
        revision=key.revision,
    )


def door(card: EndpointCard, keys: Sequence[KeyRow]) -> DoorCard:
    """`keys` are those of this endpoint that are in force."""
    return DoorCard(
        is_open=card.is_open,
        action=_close(card) if card.is_open else _open(card),
        keys_url=keys_url(card.environment, card.name),
        issue_command=issue_command(card.name, card.environment),
        keys=[(row(key), _used_at(key, card.name)) for key in keys],
    )


def issue_command(endpoint: str, environment: str) -> str:
    words = ["slipway", "keys", "issue", "NAME", "--endpoint", endpoint, "-e", environment]
    return shlex.join(words)


def _open(card: EndpointCard) -> ActionCard:
    return ActionCard(
        name="open",
        title="Open to everybody",
        icon="triangle-alert",
        url=reverse("endpoint-open", args=[card.environment, card.name]),
        effect=(
            "Whoever reaches the gateway may then ask this endpoint, without a key and without a"
            " limit, and nobody can tell who asked. Its keys stay, and are not asked for."
        ),
        disabled=card.cannot_declare,
        danger=True,
    )


def _close(card: EndpointCard) -> ActionCard:
    return ActionCard(
        name="close",
        title="Ask for keys again",
        icon="lock",
        url=reverse("endpoint-close", args=[card.environment, card.name]),
        effect="Whoever has no key is refused within a second.",
        disabled=card.cannot_declare,
        primary=True,
    )


def filters(places: Sequence[str], environment: str, endpoint: str, *, every: bool) -> list[Filter]:
    """Environments, then whether keys that ended are shown."""

    def query(**given: str) -> str:
        return urlencode({name: value for name, value in given.items() if value})

    chips = [
        Filter(place, query(environment=place, show="all" if every else ""), place == environment)
        for place in places
    ]
    here = {"environment": environment, "endpoint": endpoint}
    chips.append(Filter("In force", query(**here), not every))
    chips.append(Filter("All", query(**here, show="all"), every))
    return chips


def entered(form: QueryDict | None, endpoint: str) -> Mapping[str, Any]:
    """What the form of a new key shows: what was entered, or what it begins with."""
    if form is None:
        return {"expires_in_days": DEFAULT_DAYS, "endpoints": [endpoint] if endpoint else []}
    return {**form.dict(), "endpoints": form.getlist("endpoints")}


def as_is(key: KeyRow) -> Mapping[str, Any]:
    """The same for a key that there is."""
    return {
        "name": key.name,
        "endpoints": list(key.endpoints),
        "requests_per_minute": key.requests_per_minute,
        "requests_per_day": key.requests_per_day,
    }


def _used_at(key: KeyRow, endpoint: str) -> str:
    return next((_use(key, use).used for use in key.usage if use.endpoint == endpoint), "")


def _use(key: KeyRow, use: KeyUse) -> KeyUseCard:
    limit = key.requests_per_day
    used = f"{use.requests_today:,}" + (f" of {limit:,}" if limit else "")
    share = min(100, 100 * use.requests_today // limit) if limit else 0
    return KeyUseCard(use.endpoint, used, share, use.exhausted)
