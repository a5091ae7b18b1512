"""What pages make of the selectors' cards."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from deployments.selectors.cards import (
    EndpointCard,
    EndpointRef,
    ReasonRow,
    ReleaseRef,
    ReleaseRow,
    RolloutCard,
    SplitRow,
    StatusCard,
    StepRow,
    Timings,
    TrafficRow,
)
from frontend.presenters import endpoint, evidence, fleet
from frontend.presenters.signature import tensors
from monitoring.domain.series import Sparkline, Totals

NOW = datetime(2026, 5, 1, tzinfo=UTC)
STATUS = StatusCard(
    "done", "promoted", "promoted", "Promoted.", 2, (), "", SplitRow(100, 0), NOW, None
)


def rollout(number: int = 1, **status: Any) -> RolloutCard:
    return RolloutCard(
        id=f"rol_{number}",
        number=number,
        endpoint=EndpointRef("end_1", "tumour", "staging"),
        kind="deploy",
        target=ReleaseRef(f"rel_{number}", number),
        stable=ReleaseRef("rel_0", 0) if number > 1 else None,
        strategy={},
        spec={},
        status=replace(STATUS, **status),
        comment="",
        timings=Timings(NOW, None, None, None),
        gateways=(),
        build=None,
        created_by="alice",
        created_at=NOW,
        generation=1,
        revision=1,
        allowed_actions=(),
        disabled_actions={},
    )


def card(name: str = "tumour", **fields: Any) -> EndpointCard:
    made = EndpointCard(
        id=f"end_{name}",
        name=name,
        model=name,
        environment="staging",
        is_production=False,
        url="http://gateway/v2/models/tumour",
        replicas=1,
        state="serving",
        sentence="Serving version 1 with 1 replica.",
        stable_release=None,
        traffic=(TrafficRow("rel_1", 1, 100, 0),),
        replica_list=(),
        active_rollout=None,
        latest_rollout=None,
        is_open=False,
        cannot_declare="",
        cannot_roll_back="There is no earlier release to go back to.",
        revision=1,
        created_at=NOW,
    )
    return replace(made, **fields)


FAILED = rollout(3, outcome="reverted", badge="failed", sentence="Failed (reverted): it is broken.")
MOVING = rollout(4, phase="stepping", outcome="", badge="baking", sentence="Baking.")


def shown(cards: list[EndpointCard], **filters: str) -> fleet.Fleet:
    return fleet.fleet(cards, {}, {}, **filters)


def test_what_needs_a_human_comes_first_then_what_moves() -> None:
    calm, moving = card("calm"), card("moving", active_rollout=MOVING, state="baking")
    broken = card("broken", state="down")
    names = [row.name for row in shown([calm, moving, broken]).rows]
    assert names == ["broken", "moving", "calm"]


@pytest.mark.parametrize("state", ["stuck", "paused", "down", "degraded"])
def test_a_human_is_needed_where_nothing_goes_on_by_itself(state: str) -> None:
    assert shown([card(state=state)]).needs_human == 1


def test_a_failed_rollout_needs_a_human_until_the_next_one_moves() -> None:
    assert shown([card(latest_rollout=FAILED)]).needs_human == 1
    tried_again = card(latest_rollout=FAILED, active_rollout=MOVING, state="baking")
    assert shown([tried_again]).needs_human == 0


def test_waiting_for_an_earlier_rollout_needs_nobody() -> None:
    def waiting(reason: str) -> EndpointCard:
        pending = rollout(2, phase="pending", outcome="", badge="waiting", waiting=reason)
        return card(active_rollout=pending, state="waiting")

    assert shown([waiting("earlier")]).needs_human == 0
    assert shown([waiting("user")]).needs_human == 1


def test_filters_keep_some_rows_and_the_counts_of_all() -> None:
    found = shown([card("a", state="down"), card("b")], show="human")
    assert [row.name for row in found.rows] == ["a"]
    assert (found.total, found.needs_human) == (2, 1)
    assert [each.label for each in found.filters if each.chosen] == ["Needs a human"]


def test_figures_of_the_last_seconds_stand_in_the_row() -> None:
    traffic = {"end_tumour": Sparkline("end_tumour", 10, (1.0, 4.0), (0.0, 1.0))}
    row = fleet.fleet([card()], traffic, {"end_tumour": 12.5}).rows[0]
    assert (row.figures.requests, row.figures.error_share, row.figures.p95) == (4.0, 0.25, 12.5)


def page(made: EndpointCard, history: list[RolloutCard], back: set[str]) -> Any:
    return endpoint.endpoint(made, history, back, Totals())


def test_every_button_is_there_and_each_that_cannot_says_why() -> None:
    actions = page(card(), [], set()).actions
    assert [action.name for action in actions] == [
        "promote",
        "pause",
        "resume",
        "abort",
        "rollback",
    ]
    assert all(action.disabled.endswith(".") for action in actions)


def test_what_pressing_does_is_said_before_it_is_done() -> None:
    made = card(active_rollout=MOVING, cannot_roll_back="")
    actions = {action.name: action for action in page(made, [MOVING], set()).actions}
    assert "All traffic returns to version 0" in actions["abort"].effect
    assert all(action.effect for action in actions.values())
    assert actions["pause"].hidden == {"generation": "1"}


def test_only_releases_that_can_take_over_have_a_roll_back_in_the_timeline() -> None:
    history = [FAILED, rollout(2), rollout(1)]
    rows = page(card(cannot_roll_back=""), history, {"rel_1"}).timeline
    assert [row.rollback is not None for row in rows] == [False, False, True]
    assert rows[2].rollback.hidden == {"to": "rel_1"}


def test_while_one_takes_over_one_goes_back_to_the_stable_one_and_not_to_what_comes() -> None:
    stable = ReleaseRow("rel_1", "end_1", 1, "", "", {}, NOW)
    made = card(active_rollout=MOVING, stable_release=stable, cannot_roll_back="")
    again = replace(rollout(2), target=MOVING.target)
    rows = page(made, [MOVING, again, rollout(1)], {MOVING.target.release}).timeline
    assert [row.rollback is not None for row in rows] == [False, False, True]


def test_a_sentence_that_repeats_its_badge_is_left_out() -> None:
    rows = page(card(), [rollout(1), FAILED], set()).timeline
    assert [row.sentence for row in rows] == ["", "Failed (reverted): it is broken."]


def test_the_step_bar_begins_with_replicas_and_ends_with_letting_go() -> None:
    steps = (StepRow("set-weight", "100 % of traffic", "done"), StepRow("bake", "Bake", "current"))
    baking = replace(MOVING, status=replace(MOVING.status, steps=steps))
    shown_steps = page(card(active_rollout=baking), [], set()).rollout.steps
    assert [(step.label, step.state) for step in shown_steps] == [
        ("Replicas ready", "done"),
        ("100 % of traffic", "done"),
        ("Bake", "current"),
        ("Let go of the old", "todo"),
    ]


def test_shares_lie_side_by_side_in_the_bar() -> None:
    split = card(traffic=(TrafficRow("rel_1", 1, 70, 0), TrafficRow("rel_2", 2, 30, 0)))
    shares = page(split, [], set()).shares
    assert [(share.start, share.percent) for share in shares] == [(0, 70), (70, 30)]


def test_the_curl_line_carries_the_sample_that_intake_ran() -> None:
    sample = {"inputs": [{"name": "X", "shape": [1, 1], "datatype": "FP32", "data": [0.5]}]}
    line = endpoint.curl(card(), sample)
    assert line.startswith("curl -sS http://gateway/v2/models/tumour/infer -H ")
    assert '\'{"inputs":[{' in line


def test_the_curl_line_sends_a_key_unless_the_endpoint_is_open() -> None:
    header = '-H "Authorization: Bearer $SLIPWAY_ENDPOINT_KEY"'
    assert header in endpoint.curl(card(), None)
    assert header not in endpoint.curl(card(is_open=True), None)


def test_a_sample_too_large_for_a_line_is_a_file() -> None:
    sample = {"inputs": [{"data": [0.5] * 1000}]}
    assert endpoint.curl(card(), sample).endswith("-d @request.json")


def test_evidence_shows_the_log_first_and_short_facts_on_lines() -> None:
    reason = ReasonRow(
        "model-load-failed",
        "",
        {
            "exit_code": 4,
            "last_probe": {"status": None},
            "log_tail": '{"at": 0.5, "event": "model-load-failed", "message": "no"}\nplain',
            "nothing": "",
        },
    )
    texts = evidence.texts(reason)
    assert [text.title for text in texts] == [
        "Log of the replica, last lines",
        "Last readiness probe",
    ]
    assert texts[0].text == "00:00:00.500 model-load-failed no\nplain"
    assert evidence.facts(reason) == [("Code", "model-load-failed"), ("Exit code", "4")]


def test_a_signature_reads_as_one_line_per_tensor() -> None:
    signature = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 30]}], "outputs": []}
    assert tensors(signature) == {"inputs": ["X FP32 [any, 30]"], "outputs": []}
