"""Plans, stored forms, and what people read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from deployments.domain.phrases import Badge, badge, sentence, step_label
from deployments.domain.plan import (
    BadPlan,
    BlueGreen,
    Canary,
    Shadow,
    compile_steps,
    require_possible,
)
from deployments.domain.rollout import (
    Analyse,
    Mirror,
    Outcome,
    Pause,
    Phase,
    Reason,
    ReasonCode,
    SetWeight,
    Spec,
    Split,
    Status,
    Waiting,
    steps_from_json,
    steps_to_json,
)
from tests.unit.deployments.worlds import (
    BAKING,
    BLUE,
    EXPOSED,
    GREEN,
    NOW,
    PENDING,
    PROMOTED,
    PROVISIONING,
    SPEC,
    TWO,
    counts,
    gateways,
    world,
)

NAMES = {GREEN: "version 2", BLUE: "version 1"}
LOAD = Reason(ReasonCode.MODEL_LOAD_FAILED, "The model could not be loaded in its replica.", {})
ABORT = Reason(ReasonCode.ABORTED, "A person aborted the rollout.", {"reason": "wrong version"})
SILENT = Reason(ReasonCode.GATEWAY_SILENT, "The gateway hall does not answer.", {})


def test_blue_green_switches_at_once_and_bakes() -> None:
    assert compile_steps(BlueGreen(30)) == (SetWeight(100), Pause(30, bake=True))
    asking = compile_steps(BlueGreen(30, pause_before_switch=True))
    assert asking == (Pause(None), SetWeight(100), Pause(30, bake=True))


def test_a_canary_climbs_with_pauses_and_checks() -> None:
    assert compile_steps(Canary((10, 100), (None, 30.0), ("errors",))) == (
        SetWeight(10),
        Pause(None),
        Analyse("errors"),
        SetWeight(100),
        Pause(30.0, bake=True),
        Analyse("errors"),
    )


@pytest.mark.parametrize(
    "canary",
    [
        Canary((), (1.0,)),
        Canary((10, 50), (1.0,)),
        Canary((50, 10, 100), (1.0,)),
        Canary((10, 10, 100), (1.0,)),
        Canary((10, 50, 100), (1.0, 2.0)),
    ],
)
def test_a_canary_that_does_not_climb_to_all_is_refused(canary: Canary) -> None:
    with pytest.raises(BadPlan):
        compile_steps(canary)


def test_a_shadow_ends_without_a_share() -> None:
    steps = compile_steps(Shadow(50, 60))
    assert steps == (Mirror(50), Pause(60, bake=True), Mirror(0))
    require_possible(steps, stable=BLUE)
    with pytest.raises(BadPlan):
        require_possible(steps, stable=None)


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_percentage_lies_between_0_and_100(percent: int) -> None:
    with pytest.raises(ValueError, match="percentage"):
        SetWeight(percent)


def stored(data: dict[str, Any]) -> dict[str, Any]:
    """Through a JSON column, and read by a worker that is older than the writer."""
    return {**json.loads(json.dumps(data)), "from_a_later_version": 1}


def test_a_spec_survives_being_stored() -> None:
    spec = replace(
        SPEC,
        steps=(*SPEC.steps, Mirror(5), Pause(None), Analyse("errors")),
        aborted=True,
        abort_code=ReasonCode.SUPERSEDED,
    )
    assert Spec.from_json(stored(spec.to_json())) == spec
    assert steps_from_json(steps_to_json(spec.steps)) == spec.steps


def test_a_status_survives_being_stored() -> None:
    status = replace(
        BAKING,
        split=Split(10, 5),
        reason=LOAD,
        stalled_for=Waiting.GATEWAY,
        frozen_since=3.5,
        outcome=Outcome.REVERTED,
    )
    again = Status.from_json(stored(status.to_json()))
    assert again == status
    assert isinstance(again.phase, Phase)
    assert isinstance(again.stalled_for, Waiting)
    assert Status.from_json(stored(Status().to_json())) == Status()


def test_an_older_status_is_read_with_defaults() -> None:
    old = {"phase": "stepping", "outcome": "", "waiting": "timer", "split": {}}
    assert Status.from_json(old).phase is Phase.STEPPING


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (PENDING, Badge.PROGRESSING),
        (replace(PENDING, waiting=Waiting.EARLIER), Badge.WAITING),
        (PROVISIONING, Badge.PROGRESSING),
        (replace(EXPOSED, reason=SILENT), Badge.STUCK),
        (replace(EXPOSED, waiting=Waiting.APPROVAL), Badge.WAITING),
        (BAKING, Badge.BAKING),
        (PROMOTED, Badge.PROMOTED),
        (replace(PROMOTED, outcome=Outcome.OBSERVED), Badge.OBSERVED),
        (replace(PROMOTED, outcome=Outcome.REVERTED, reason=LOAD), Badge.FAILED),
        (replace(PROMOTED, outcome=Outcome.REVERTED, reason=ABORT), Badge.REVERTED),
    ],
)
def test_the_badge(status: Status, expected: Badge) -> None:
    assert badge(SPEC, status) is expected


def test_a_paused_rollout_wears_it_until_it_is_decided() -> None:
    paused = replace(SPEC, paused=True)
    assert badge(paused, BAKING) is Badge.PAUSED
    assert badge(paused, PROMOTED) is Badge.PROMOTED
    assert sentence(paused, BAKING) == "Paused. Resume the rollout to go on."


def waiting(for_: Waiting, status: Status = EXPOSED) -> Status:
    return replace(status, waiting=for_)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (PENDING, "Waiting to start."),
        (waiting(Waiting.EARLIER, PENDING), "Waiting for an earlier rollout of this endpoint."),
        (waiting(Waiting.REPLICAS), "Waiting for 1 of 2 replicas to be ready."),
        (waiting(Waiting.SMOKE), "Waiting for version 2 to answer a sample inference."),
        (
            waiting(Waiting.GATEWAY),
            "Waiting for every gateway to take over the new configuration.",
        ),
        (waiting(Waiting.REACH), "Waiting to reach version 2 through hall."),
        (waiting(Waiting.APPROVAL), "Waiting for approval to send traffic to version 2."),
        (BAKING, "Baking version 2: 20 s left, version 1 is kept warm."),
        (
            replace(EXPOSED, reason=SILENT),
            "The gateway hall does not answer. The rollout goes on when it answers or is removed.",
        ),
        (
            replace(PROMOTED, waiting=Waiting.GATEWAY),
            "Promoted. Waiting for the gateways to take the traffic off version 1.",
        ),
        (
            replace(PROMOTED, waiting=Waiting.DRAIN, drain_since=NOW - 10),
            "Promoted. Draining version 1: 20 s left.",
        ),
        (
            replace(PROMOTED, waiting=Waiting.DRAIN, released=True),
            "Promoted. Stopping the replicas of version 1.",
        ),
        (replace(PROMOTED, phase=Phase.DONE), "Promoted."),
        (
            replace(PROMOTED, phase=Phase.DONE, outcome=Outcome.REVERTED, reason=LOAD),
            "Failed (reverted): the model could not be loaded in its replica.",
        ),
        (
            replace(PROMOTED, phase=Phase.DONE, outcome=Outcome.REVERTED, reason=ABORT),
            "Reverted: a person aborted the rollout. Reason given: wrong version.",
        ),
    ],
)
def test_the_sentence(status: Status, expected: str) -> None:
    seen = world(replicas=counts(green=1), gateways=gateways(registered=TWO))
    assert sentence(SPEC, status, seen, names=NAMES) == expected


def test_the_bake_of_a_first_deployment_keeps_nothing_warm() -> None:
    first = replace(SPEC, stable=None)
    assert sentence(first, BAKING, names=NAMES, now=NOW) == "Baking version 2: 20 s left."


def test_what_a_person_has_just_asked_for_is_told_before_the_loop_has_taken_note() -> None:
    asking = replace(SPEC, steps=compile_steps(BlueGreen(30, pause_before_switch=True)))
    asked = replace(EXPOSED, phase=Phase.STEPPING, step=0, waiting=Waiting.USER)
    assert "Promote the rollout, or abort it." in sentence(asking, asked)
    assert badge(asking, asked) is Badge.WAITING
    for resumed in (
        (SPEC, replace(BAKING, waiting=Waiting.USER)),
        (replace(asking, promoted_through=0), asked),
        (replace(SPEC, promoted_through=1), BAKING),
    ):
        assert sentence(*resumed, now=NOW) == "Going on."
        assert badge(*resumed) in (Badge.BAKING, Badge.PROGRESSING)
    aborted = replace(SPEC, aborted=True, paused=True)
    assert sentence(aborted, BAKING, now=NOW) == "The rollout is being aborted."
    assert badge(aborted, BAKING) is Badge.BAKING


@pytest.mark.parametrize("status", [PENDING, PROVISIONING, EXPOSED, BAKING, PROMOTED])
@pytest.mark.parametrize("waiting_for", list(Waiting))
def test_every_sentence_ends_with_a_full_stop(status: Status, waiting_for: Waiting) -> None:
    for seen in (None, world()):
        text = sentence(SPEC, replace(status, waiting=waiting_for), seen)
        assert text.endswith(".")
        assert text[0].isupper()
        assert ".." not in text


def test_the_words_of_the_step_bar() -> None:
    steps = (*compile_steps(BlueGreen(30, True)), Mirror(10), Mirror(0), Analyse("errors"))
    assert [step_label(step) for step in steps] == [
        "Wait for a person",
        "100 % of traffic",
        "Bake 30 s",
        "Mirror 10 %",
        "Stop mirroring",
        "Check errors",
    ]
