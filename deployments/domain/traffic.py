"""What the gateways of an endpoint should do, from its rollouts; and what they do, per rollout.

Where the stable pointer moves. A rollout that passes its last step enters SETTLING as PROMOTED, and
the endpoint's pointer moves to its target *in the same transaction*. Before that commit the
rollout's split (100 %) sends everything to the target, after it the pointer does: the derived
shares are equal on both sides, so promoting changes no route. `stable_after` compares the status
before and after, since a rollout that still settles must not move the pointer a second time, back
from where a later rollout has put it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from deployments.domain.rollout import (
    Evidence,
    Outcome,
    Phase,
    Spec,
    Split,
    Status,
    loser,
)
from deployments.domain.world import GatewayView


@dataclass(frozen=True, slots=True)
class Share:
    percent: int = 0
    mirror_percent: int = 0


Shares = Mapping[str, Share]
"""Per release, what it gets of one endpoint. Releases that get nothing are absent."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Desired: the percentages add up to 100, or nothing is routed at all."""

    shares: Shares
    exposed: frozenset[str]


def combine(stable: str | None, unfinished: Iterable[tuple[Spec, Status]]) -> Traffic:
    """What the gateways should do for one endpoint: its pointer, and at most one active rollout."""
    rollouts = list(unfinished)
    exposed = {stable} if stable else set()
    exposed |= {release for spec, status in rollouts if (release := _published(spec, status))}
    for spec, status in rollouts:
        if status.phase is Phase.STEPPING:
            shares = _divide(stable, spec.target, status.split)
            return Traffic(shares, frozenset(exposed | set(shares)))
    return Traffic({stable: Share(100)} if stable else {}, frozenset(exposed))


def rebase(spec: Spec, status: Status, stable: str | None, stable_replicas: int) -> Spec:
    """While a rollout is pending it starts from wherever the endpoint is; afterwards it is fixed.

    Call it on loading. The commit that leaves PENDING stores these two fields, and only if the
    endpoint's pointer is still the same.
    """
    if status.phase is not Phase.PENDING:
        return spec
    return replace(spec, stable=stable, stable_replicas=stable_replicas)


def stable_after(spec: Spec, was: Status, now: Status, current: str | None) -> str | None:
    """The endpoint's pointer after the commit that takes a rollout from `was` to `now`."""
    promoted = now.outcome is Outcome.PROMOTED and was.outcome is not Outcome.PROMOTED
    return spec.target if promoted else current


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one gateway, about one endpoint.

    `routes` and `clusters` come from the snapshots that it acknowledged, None if it has
    acknowledged none. `later_routes` and `later_clusters` come from every newer snapshot that
    exists: it may have taken one over without having said so yet, so nothing counts as agreed
    that is not true in those as well. `acked_at` is when it acknowledged the later of the two.
    """

    name: str
    routes: Shares | None = None
    later_routes: Sequence[Shares] = ()
    clusters: frozenset[str] | None = None
    later_clusters: Sequence[frozenset[str]] = ()
    acked_at: float = 0.0
    silent: bool = False
    reached: bool = False
    reach_failed: Evidence | None = None
    rejected: Evidence | None = None


def view(spec: Spec, status: Status, gateways: Sequence[Seen]) -> GatewayView:
    """What all registered gateways agree on, as `decide` wants it. Without gateways: on nothing."""
    losing = loser(spec, status)
    splits = {_agreed_split(spec, gateway) for gateway in gateways}
    clear = bool(gateways) and all(_clear_of(losing, gateway) for gateway in gateways)
    since = max((gateway.acked_at for gateway in gateways), default=0.0)
    return GatewayView(
        registered=frozenset(gateway.name for gateway in gateways),
        acked=splits.pop() if len(splits) == 1 else None,
        acked_exposed=bool(gateways) and all(_knows(spec.target, each) for each in gateways),
        acked_since=since,
        clear_since=since if clear else None,
        withdrawn=all(_forgot(losing, gateway) for gateway in gateways),
        rejected=next((each.rejected for each in gateways if each.rejected is not None), None),
        silent=frozenset(gateway.name for gateway in gateways if gateway.silent),
        reached=frozenset(gateway.name for gateway in gateways if gateway.reached),
        reach_failed=next((e.reach_failed for e in gateways if e.reach_failed is not None), None),
    )


def _published(spec: Spec, status: Status) -> str | None:
    if not status.exposed or status.phase is Phase.DONE:
        return None
    return loser(spec, status) if status.phase is Phase.SETTLING else spec.target


def _divide(stable: str | None, target: str, split: Split) -> dict[str, Share]:
    if stable is None:
        return {target: Share(100)} if split.target_percent else {}
    shares = {
        stable: Share(100 - split.target_percent),
        target: Share(split.target_percent, split.mirror_percent),
    }
    return {release: share for release, share in shares.items() if share != Share()}


def _agreed_split(spec: Spec, gateway: Seen) -> Split | None:
    if gateway.routes is None:
        return None
    found = {_as_split(spec.target, shares) for shares in (gateway.routes, *gateway.later_routes)}
    return found.pop() if len(found) == 1 else None


def _as_split(target: str, shares: Shares) -> Split:
    share = shares.get(target, Share())
    return Split(share.percent, share.mirror_percent)


def _clear_of(release: str | None, gateway: Seen) -> bool:
    if gateway.routes is None:
        return False
    return all(release not in shares for shares in (gateway.routes, *gateway.later_routes))


def _knows(release: str, gateway: Seen) -> bool:
    if gateway.clusters is None:
        return False
    return all(release in each for each in (gateway.clusters, *gateway.later_clusters))


def _forgot(release: str | None, gateway: Seen) -> bool:
    acknowledged = () if gateway.clusters is None else (gateway.clusters,)
    return all(release not in each for each in (*acknowledged, *gateway.later_clusters))
