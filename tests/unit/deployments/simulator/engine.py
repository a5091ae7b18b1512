"""The parts under test as one value, so that a mutation is that value with one part replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from deployments.domain import fleet, traffic
from deployments.domain.decide import Decision, decide
from deployments.domain.fleet import Changes, Crashes, Need, Replica
from deployments.domain.rollout import Spec, Status
from deployments.domain.traffic import Seen, Traffic
from deployments.domain.world import GatewayView, World

GUARDS = frozenset({"status", "replicas", "snapshots"})
Unfinished = Iterable[tuple[Spec, Status]]


@dataclass(frozen=True, slots=True)
class Engine:
    """`guarded`: which writes are void when what they rest on has moved. `sweeping`: processes
    without a row are removed. `rows_of_silent_hosts`: replicas there stay in the world."""

    decide: Callable[[Spec, Status, World], Decision] = decide
    needs: Callable[[str | None, int, Unfinished], dict[str, Need]] = fleet.needs
    changes: Callable[
        [Mapping[str, Need], Sequence[Replica], float, Mapping[str, Crashes] | None], Changes
    ] = fleet.changes
    kept_elsewhere: Callable[[str | None, Unfinished], frozenset[str]] = fleet.kept_elsewhere
    combine: Callable[[str | None, Unfinished], Traffic] = traffic.combine
    view: Callable[[Spec, Status, Sequence[Seen]], GatewayView] = traffic.view
    stable_after: Callable[[Spec, Status, Status, str | None], str | None] = traffic.stable_after
    rebase: Callable[[Spec, Status, str | None, int], Spec] = traffic.rebase
    guarded: frozenset[str] = GUARDS
    sweeping: bool = True
    rows_of_silent_hosts: bool = True
