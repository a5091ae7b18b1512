"""Desired traffic from rollouts, and what all gateways agree on from what each does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployments.domain.rollout import Outcome, Phase, Split, Status
from deployments.domain.traffic import Seen, Share, combine, rebase, stable_after, view
from tests.unit.deployments.worlds import (
    BAKING,
    BLUE,
    EXPOSED,
    GREEN,
    PENDING,
    PROMOTED,
    PROVISIONING,
    SPEC,
    STEPPING,
)

TEN = replace(STEPPING, split=Split(10))
REVERTED = replace(PROMOTED, outcome=Outcome.REVERTED, split=Split())
BLUE_ONLY = {BLUE: Share(100)}
GREEN_ONLY = {GREEN: Share(100)}
BOTH = frozenset({BLUE, GREEN})


def gateway(name: str = "edge", **fields: object) -> Seen:
    """It does nothing but blue, and said so at second 5."""
    plain = Seen(name, routes=BLUE_ONLY, clusters=frozenset({BLUE}), acked_at=5)
    return replace(plain, **fields)  # type: ignore[arg-type]


def test_without_a_rollout_the_stable_release_gets_everything() -> None:
    assert combine(BLUE, []).shares == BLUE_ONLY
    assert combine(None, []).shares == {}


@pytest.mark.parametrize("status", [PENDING, PROVISIONING, EXPOSED, STEPPING])
def test_before_the_first_weight_nothing_changes(status: Status) -> None:
    assert combine(BLUE, [(SPEC, status)]).shares == BLUE_ONLY


def test_a_weight_is_taken_from_the_stable_release() -> None:
    assert combine(BLUE, [(SPEC, TEN)]).shares == {BLUE: Share(90), GREEN: Share(10)}


def test_a_mirror_takes_nothing_from_anybody() -> None:
    mirroring = replace(STEPPING, split=Split(0, 50))
    assert combine(BLUE, [(SPEC, mirroring)]).shares == {BLUE: Share(100), GREEN: Share(0, 50)}


def test_a_first_deployment_shares_with_nobody() -> None:
    first = replace(SPEC, stable=None)
    assert combine(None, [(first, STEPPING)]).shares == {}
    assert combine(None, [(first, TEN)]).shares == GREEN_ONLY


def test_promoting_changes_no_route() -> None:
    """The pointer moves in the commit that promotes; the shares are equal on both sides of it."""
    before = combine(BLUE, [(SPEC, BAKING)])
    pointer = stable_after(SPEC, BAKING, PROMOTED, BLUE)
    after = combine(pointer, [(SPEC, PROMOTED)])
    assert pointer == GREEN
    assert before == after
    assert after.shares == GREEN_ONLY


def test_the_old_release_stays_published_until_it_is_withdrawn() -> None:
    assert combine(GREEN, [(SPEC, PROMOTED)]).exposed == BOTH
    withdrawn = replace(PROMOTED, exposed=False)
    assert combine(GREEN, [(SPEC, withdrawn)]).exposed == frozenset({GREEN})


def test_reverting_is_one_route_change() -> None:
    assert combine(BLUE, [(SPEC, REVERTED)]).shares == BLUE_ONLY
    assert combine(BLUE, [(SPEC, REVERTED)]).exposed == BOTH


def test_a_settling_rollout_does_not_move_the_pointer_again() -> None:
    done = replace(PROMOTED, phase=Phase.DONE)
    assert stable_after(SPEC, PROMOTED, done, "rel_LATER") == "rel_LATER"
    assert stable_after(SPEC, BAKING, REVERTED, BLUE) == BLUE


def test_a_rollback_to_a_draining_release_overlaps_with_its_drain() -> None:
    back = replace(SPEC, target=BLUE, stable=GREEN)
    traffic = combine(GREEN, [(SPEC, PROMOTED), (back, BAKING)])
    assert traffic.shares == BLUE_ONLY
    assert traffic.exposed == BOTH


def test_a_waiting_rollout_starts_from_wherever_the_endpoint_is() -> None:
    moved = rebase(SPEC, PENDING, "rel_LATER", 3)
    assert (moved.stable, moved.stable_replicas) == ("rel_LATER", 3)
    assert rebase(SPEC, PROVISIONING, "rel_LATER", 3) == SPEC


def test_what_all_gateways_acknowledged_is_agreed() -> None:
    seen = view(SPEC, STEPPING, [gateway("edge"), gateway("hall", acked_at=9)])
    assert seen.acked == Split()
    assert seen.acked_since == 9
    assert seen.registered == frozenset({"edge", "hall"})


def test_gateways_that_differ_agree_on_nothing() -> None:
    seen = view(SPEC, TEN, [gateway(), gateway("hall", routes=GREEN_ONLY)])
    assert seen.acked is None
    assert view(SPEC, TEN, [gateway(), gateway("hall", routes=None)]).acked is None


def test_no_gateway_agrees_to_nothing() -> None:
    nobody = view(SPEC, STEPPING, [])
    assert (nobody.acked, nobody.acked_exposed, nobody.clear_since) == (None, False, None)


def test_what_a_gateway_may_have_taken_over_in_silence_counts() -> None:
    """Weights were published and taken back; it acknowledged neither, and may be doing either."""
    unsure = gateway(later_routes=[GREEN_ONLY, BLUE_ONLY])
    seen = view(SPEC, REVERTED, [unsure])
    assert seen.acked is None
    assert seen.clear_since is None
    assert view(SPEC, REVERTED, [gateway(later_routes=[BLUE_ONLY])]).clear_since == 5


def test_a_mirror_is_traffic_too() -> None:
    mirrored = gateway(routes={BLUE: Share(100), GREEN: Share(0, 50)})
    seen = view(SPEC, REVERTED, [mirrored])
    assert seen.clear_since is None
    assert seen.acked == Split(0, 50)


def test_a_cluster_is_known_when_every_gateway_knows_it_and_keeps_it() -> None:
    knowing = gateway(clusters=BOTH)
    assert view(SPEC, EXPOSED, [knowing]).acked_exposed
    assert not view(SPEC, EXPOSED, [knowing, gateway("hall")]).acked_exposed
    leaving = replace(knowing, later_clusters=[frozenset({BLUE})])
    assert not view(SPEC, EXPOSED, [leaving]).acked_exposed


def test_a_cluster_is_forgotten_when_no_gateway_can_know_it() -> None:
    assert view(SPEC, REVERTED, [gateway()]).withdrawn
    assert not view(SPEC, REVERTED, [gateway(), gateway("hall", clusters=BOTH)]).withdrawn
    assert not view(SPEC, REVERTED, [gateway(later_clusters=[BOTH])]).withdrawn
    assert not view(SPEC, REVERTED, [gateway(clusters=None, later_clusters=[BOTH])]).withdrawn


def test_who_is_silent_reached_or_refuses_is_told() -> None:
    seen = view(
        SPEC,
        EXPOSED,
        [
            gateway("edge", reached=True),
            gateway("hall", silent=True, reach_failed={"status": 503}, rejected={"error": "no"}),
        ],
    )
    assert seen.reached == frozenset({"edge"})
    assert seen.silent == frozenset({"hall"})
    assert (seen.reach_failed, seen.rejected) == ({"status": 503}, {"error": "no"})
