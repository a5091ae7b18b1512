"""One endpoint: what serves, what moves, what happened."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from deployments.selectors.cards import EndpointCard as Card
from deployments.selectors.cards import KeyRow
from deployments.selectors.cards import ReplicaRow as Copy
from deployments.selectors.cards import RolloutCard as Rollout
from frontend import topics
from frontend.cards import (
    EndpointCard,
    Figures,
    ReplicaRow,
    RolloutCard,
    Share,
    StepCard,
    TimelineRow,
    Trouble,
)
from frontend.charts import ink
from frontend.presenters import actions, evidence, images, keys
from frontend.words import badge_of, duration_words, step_icon
from monitoring.domain.series import Totals

MOVING = frozenset({"pending", "provisioning", "stepping"})
_LONGEST_SAMPLE = 1500


def endpoint(
    card: Card,
    history: Sequence[Rollout],
    back: set[str],
    now: Totals,
    in_force: Sequence[KeyRow] = (),
) -> EndpointCard:
    """`history` is newest first, `back` the releases that one can go back to, `in_force` the keys
    with which clients may ask."""
    moving = card.active_rollout
    reachable = _reachable(card, back)
    return EndpointCard(
        id=card.id,
        topic=topics.of_endpoint(card.id),
        frames=topics.of_traffic(card.id),
        name=card.name,
        environment=card.environment,
        is_production=card.is_production,
        badge=badge_of(card.state),
        sentence=card.sentence,
        trouble=trouble(card),
        address=card.url,
        command=shlex.join(["slipway", "status", card.name, "-e", card.environment, "--watch"]),
        deploy=shlex.join(["slipway", "deploy", card.model, "-e", card.environment]),
        figures=_figures(now),
        shares=_shares(card),
        actions=actions.of_endpoint(card, _back_to(card, history, back)),
        rollout=_rollout(moving) if moving else None,
        replicas=[_replica(copy) for copy in card.replica_list],
        timeline=[_timeline_row(card, each, reachable) for each in history],
        door=keys.door(card, in_force),
    )


def curl(card: Card, sample: Mapping[str, Any] | None) -> str:
    """A prediction with the sample that intake ran, as one line that works as it stands, once there
    is a key in the variable."""
    url = f"{card.url or 'http://GATEWAY/v2/models/' + card.name}/infer"
    body = json.dumps({"inputs": sample["inputs"]} if sample else {}, separators=(",", ":"))
    if sample is None or len(body) > _LONGEST_SAMPLE:
        body = "@request.json"
    key = "" if card.is_open else ' -H "Authorization: Bearer $SLIPWAY_ENDPOINT_KEY"'
    return f"curl -sS {url}{key} -H content-type:application/json -d {shlex.quote(body)}"


def trouble(card: Card) -> Trouble | None:
    """The last rollout, when it failed and nothing has been tried since: what serves is sound, but
    what was wanted is not there."""
    latest, active = card.latest_rollout, card.active_rollout
    if latest is None or latest.status.badge != "failed":
        return None
    if active is not None and active.status.phase in MOVING:
        return None
    return Trouble(latest.id, latest.number, latest.status.sentence)


def _figures(now: Totals) -> Figures:
    return Figures(
        requests=now.requests_per_second,
        error_share=now.errors / now.requests if now.requests else None,
        p50=now.p50_ms,
        p95=now.p95_ms,
        p99=now.p99_ms,
    )


def _shares(card: Card) -> list[Share]:
    found, start = [], 0
    stable = card.stable_release.id if card.stable_release else ""
    for part in card.traffic:
        found.append(
            Share(
                label=f"version {part.version}",
                percent=part.percent,
                mirror_percent=part.mirror_percent,
                ink=ink(part.version),
                start=start,
                is_stable=part.release == stable,
            )
        )
        start += part.percent
    return found


def _reachable(card: Card, back: set[str]) -> set[str]:
    """The releases that a row of the timeline can go back to. While one takes over, going back
    means to the stable one, and not to what is coming anyway."""
    moving = card.active_rollout
    if moving is None or moving.status.phase not in MOVING:
        return back
    stable = {card.stable_release.id} if card.stable_release else set()
    return (back | stable) - {moving.target.release}


def _back_to(card: Card, history: Sequence[Rollout], back: set[str]) -> int | None:
    """What the service chooses when it is not told: the stable release while something moves,
    otherwise the one that was promoted before it."""
    moving = card.active_rollout
    if moving and moving.status.outcome == "" and card.stable_release:
        return card.stable_release.version
    promoted = (
        each.target.version
        for each in history
        if each.status.outcome == "promoted" and each.target.release in back
    )
    return next(promoted, None)


def _rollout(card: Rollout) -> RolloutCard:
    return RolloutCard(
        id=card.id,
        number=card.number,
        title=_title(card),
        badge=badge_of(card.status.badge),
        sentence=card.status.sentence,
        steps=_steps(card),
        created_at=card.created_at,
        created_by=card.created_by,
        acknowledged=_acknowledged(card),
        build_url=_build_url(card),
    )


def _steps(card: Rollout) -> list[StepCard]:
    """The strategy's steps, between what every rollout begins and ends with."""
    phase, failed = card.status.phase, card.status.outcome == "reverted"
    began = any(step.state in ("done", "current") for step in card.status.steps)
    first = "done" if began or card.timings.switched_at else "failed" if failed else "current"
    last = {"settling": "current", "done": "done"}.get(phase, "todo")
    steps = [("Replicas ready", first if phase != "pending" else "todo")]
    steps += [(step.label, step.state) for step in card.status.steps]
    steps.append(("Let go of the old" if not failed else "Clean up", last))
    return [StepCard(label, state, step_icon(state)) for label, state in steps]


def _title(card: Rollout) -> str:
    target = f"version {card.target.version}"
    if card.kind == "rollback":
        return f"back to {target}"
    return f"version {card.stable.version} → {target}" if card.stable else target


def _acknowledged(card: Rollout) -> list[str]:
    return [
        f"{each.name} took the switch over in {each.acknowledged_ms:.0f} ms"
        for each in card.gateways
    ]


def _replica(copy: Copy) -> ReplicaRow:
    address = f"{copy.address}:{copy.port}" if copy.port else ""
    return ReplicaRow(
        id=copy.id,
        label=f"version {copy.version}",
        host=f"{copy.host}, which does not answer" if copy.host_silent else copy.host,
        badge=badge_of(copy.state),
        address=address,
        ready_at=copy.ready_at,
        failure=str(copy.failure.get("message", "")) if copy.failure else "",
        ink=ink(copy.version),
    )


def _timeline_row(card: Card, each: Rollout, back: set[str]) -> TimelineRow:
    promoted = each.status.outcome == "promoted"
    can = promoted and each.target.release in back
    return TimelineRow(
        id=each.id,
        number=each.number,
        title=_title(each),
        badge=badge_of(each.status.badge),
        sentence=_unless_said(card, each),
        comment=each.comment,
        created_by=each.created_by,
        created_at=each.created_at,
        facts=_facts(each),
        evidence=evidence.texts(each.status.reason),
        facts_of_failure=evidence.facts(each.status.reason),
        rollback=actions.roll_back_to(card, each) if can else None,
        build_url=_build_url(each),
    )


def _build_url(card: Rollout) -> str:
    """Where its image is being made, or why it was not."""
    failed = card.status.reason is not None and card.status.reason.code == "build-failed"
    return images.build_url(card.build) if failed or card.status.waiting == "image" else ""


def _unless_said(card: Card, each: Rollout) -> str:
    """The sentence, but where it repeats the badge beside it or the head of the page: that one
    counts seconds, and this would be behind."""
    if card.active_rollout is not None and card.active_rollout.id == each.id:
        return ""
    said = badge_of(each.status.badge).word
    return "" if each.status.sentence == f"{said}." else each.status.sentence


def _facts(each: Rollout) -> list[str]:
    took = []
    switched, over = each.timings.switched_at, each.timings.finished_at
    if switched is not None:
        took.append(f"switched after {duration_words(_between(each.created_at, switched))}")
    if over is not None:
        took.append(f"{duration_words(_between(each.created_at, over))} in all")
    return [*took, *_acknowledged(each)]


def _between(begin: datetime, end: datetime) -> float:
    return max(0.0, (end - begin).total_seconds())
