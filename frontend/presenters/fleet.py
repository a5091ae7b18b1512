"""The fleet: what runs where, what needs a human first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from deployments.selectors.cards import EndpointCard as Card
from frontend.addresses import endpoint_url
from frontend.cards import Figures, FleetRow
from frontend.presenters.endpoint import MOVING, trouble
from frontend.sparkline import sparkline
from frontend.words import badge_of
from monitoring.domain.series import Sparkline

_NEEDS_HUMAN = frozenset({"stuck", "paused", "down", "degraded"})
_FOR_PEOPLE = frozenset({"approval", "user"})


@dataclass(frozen=True, slots=True)
class Filter:
    label: str
    query: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Fleet:
    """`total` and the other counts are of all endpoints, `rows` of those that the filter keeps."""

    total: int
    needs_human: int
    moving: int
    requests: float
    rows: Sequence[FleetRow]
    filters: Sequence[Filter]


def fleet(
    cards: Sequence[Card],
    traffic: Mapping[str, Sparkline],
    p95: Mapping[str, float],
    *,
    show: str = "",
    environment: str = "",
) -> Fleet:
    rows = [_row(card, traffic.get(card.id), p95.get(card.id)) for card in cards]
    rows.sort(key=lambda row: (not row.needs_human, not row.moving))
    kept = [row for row in rows if _kept(row, show, environment)]
    return Fleet(
        total=len(rows),
        needs_human=sum(row.needs_human for row in rows),
        moving=sum(row.moving for row in rows),
        requests=sum(row.figures.requests or 0.0 for row in rows),
        rows=kept,
        filters=_filters(rows, show, environment),
    )


def _row(card: Card, traffic: Sparkline | None, p95: float | None) -> FleetRow:
    failed = trouble(card)
    rollout = card.active_rollout or card.latest_rollout
    return FleetRow(
        id=card.id,
        name=card.name,
        environment=card.environment,
        is_production=card.is_production,
        url=endpoint_url(card.environment, card.name),
        badge=badge_of(card.state),
        sentence=card.sentence,
        needs_human=failed is not None or _waits_for_people(card),
        moving=card.active_rollout is not None and card.active_rollout.status.phase in MOVING,
        is_open=card.is_open,
        trouble=failed,
        live=live_versions(card),
        figures=_figures(traffic, p95),
        sparkline=sparkline(traffic.requests_per_second if traffic else ()),
        since=rollout.status.since if rollout else card.created_at,
    )


def _waits_for_people(card: Card) -> bool:
    active = card.active_rollout
    return card.state in _NEEDS_HUMAN or (
        active is not None and active.status.waiting in _FOR_PEOPLE
    )


def live_versions(card: Card) -> str:
    """Who gets the traffic, in a few words."""
    if not card.traffic:
        return "nothing"
    if len(card.traffic) == 1:
        return f"version {card.traffic[0].version}"
    return ", ".join(f"version {part.version} {part.percent} %" for part in card.traffic)


def _figures(traffic: Sparkline | None, p95: float | None) -> Figures:
    if traffic is None:
        return Figures()
    now, errors = traffic.now, traffic.errors_per_second[-1] if traffic.errors_per_second else 0.0
    share = errors / now if now else None
    return Figures(requests=now, error_share=share, p95=p95)


def _kept(row: FleetRow, show: str, environment: str) -> bool:
    if environment and row.environment != environment:
        return False
    return {"human": row.needs_human, "moving": row.moving}.get(show, True)


def _filters(rows: Sequence[FleetRow], show: str, environment: str) -> list[Filter]:
    def chip(label: str, **wanted: str) -> Filter:
        query = urlencode({name: value for name, value in wanted.items() if value})
        return Filter(label, query, wanted == {"show": show, "environment": environment})

    chips = [
        chip("All", show="", environment=""),
        chip("Needs a human", show="human", environment=""),
        chip("Rolling out", show="moving", environment=""),
    ]
    places = sorted({row.environment for row in rows})
    return chips + [chip(place, show="", environment=place) for place in places]
