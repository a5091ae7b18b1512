"""How far a rollout is, in the words of the step bar and of operations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployments.domain import progress
from deployments.domain.plan import BlueGreen, compile_steps
from deployments.domain.progress import OperationState, Serving
from deployments.domain.rollout import Outcome, Phase, Reason, ReasonCode, Spec, Status

SPEC = Spec(target="b", stable="a", replicas=1, steps=compile_steps(BlueGreen(30)))
PENDING = Status()
STEPPING = Status(phase=Phase.STEPPING, step=1, exposed=True)
PROMOTED = Status(phase=Phase.SETTLING, outcome=Outcome.PROMOTED, step=1)


def reverted(code: ReasonCode) -> Status:
    reason = Reason(code, "It was.", {})
    return Status(phase=Phase.DONE, outcome=Outcome.REVERTED, step=1, exposed=True, reason=reason)


def states(spec: Spec, status: Status) -> list[str]:
    return [str(view.state) for view in progress.steps(spec, status)]


def test_no_step_has_begun_before_the_replicas_are_ready() -> None:
    assert states(SPEC, PENDING) == ["todo", "todo"]
    assert states(SPEC, Status(phase=Phase.PROVISIONING)) == ["todo", "todo"]


def test_the_step_it_is_in_is_the_current_one() -> None:
    assert states(SPEC, STEPPING) == ["done", "current"]


def test_a_skipped_bake_is_shown_as_skipped() -> None:
    assert states(SPEC, PROMOTED) == ["done", "done"]
    assert states(replace(SPEC, promoted_through=1), PROMOTED) == ["done", "skipped"]


def test_a_reverted_rollout_shows_where_it_failed() -> None:
    assert states(SPEC, reverted(ReasonCode.SMOKE_FAILED)) == ["done", "failed"]


def test_a_rollout_that_failed_before_its_first_step_did_none() -> None:
    status = Status(phase=Phase.DONE, outcome=Outcome.REVERTED)
    assert states(SPEC, status) == ["skipped", "skipped"]


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (PENDING, OperationState.QUEUED),
        (STEPPING, OperationState.RUNNING),
        (PROMOTED, OperationState.SUCCEEDED),
        (reverted(ReasonCode.SMOKE_FAILED), OperationState.FAILED),
        (reverted(ReasonCode.ABORTED), OperationState.CANCELLED),
    ],
)
def test_starting_a_rollout_ends_as_the_rollout_ends(status: Status, state: OperationState) -> None:
    assert progress.operation_state("rollout.start", SPEC, status) is state


def test_an_abort_has_succeeded_when_the_rollout_is_taken_back() -> None:
    aborted = reverted(ReasonCode.ABORTED)
    assert progress.operation_state("rollout.abort", SPEC, STEPPING) is OperationState.RUNNING
    assert progress.operation_state("rollout.abort", SPEC, aborted) is OperationState.SUCCEEDED
    assert progress.operation_state("rollout.abort", SPEC, PROMOTED) is OperationState.FAILED


def test_a_pause_has_succeeded_when_the_loop_has_seen_it() -> None:
    spec = replace(SPEC, paused=True, generation=2)
    seen = replace(STEPPING, observed_generation=2)
    assert progress.operation_state("rollout.pause", spec, STEPPING) is OperationState.RUNNING
    assert progress.operation_state("rollout.pause", spec, seen) is OperationState.SUCCEEDED


@pytest.mark.parametrize(
    ("serving", "state", "sentence"),
    [
        (Serving(None, 1, 0), "empty", "Nothing is deployed here yet."),
        (Serving(2, 1, 1), "serving", "Serving version 2 with 1 replica."),
        (Serving(2, 3, 3), "serving", "Serving version 2 with 3 replicas."),
        (Serving(2, 3, 1), "degraded", "Serving version 2 with 1 of 3 replicas."),
        (Serving(2, 3, 0), "down", "No replica of version 2 is ready."),
        (
            Serving(2, 3, 3, ("a", "b")),
            "degraded",
            "Serving version 2 as far as is known: no answer from a, b.",
        ),
    ],
)
def test_an_endpoint_says_what_it_serves(serving: Serving, state: str, sentence: str) -> None:
    assert progress.endpoint_state(serving) == (state, sentence)
