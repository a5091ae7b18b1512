"""kill -9 of the whole worker, pool included, at five points of a rollout."""

from __future__ import annotations

import os
import signal

import pytest

from cli import Rollout
from tests.integration.faults.gateways import absent_gateway
from tests.integration.stack import Stack
from tests.integration.tally import load_that_must_not_notice

pytestmark = [pytest.mark.needs("redis", "envoy"), pytest.mark.faults]


def kill_the_worker_and_let_it_end(stack: Stack, rollout: Rollout, version: int) -> None:
    before = stack.pid("worker")
    stack.kill_group("worker")
    ended = stack.finished(rollout)
    assert ended.outcome == "promoted", ended.sentence
    assert stack.pid("worker") != before
    stack.require_at_rest(version)


def test_a_worker_killed_after_the_rollout_was_created(stack: Stack) -> None:
    old, new = stack.at_rest()
    with load_that_must_not_notice(stack.infer_url, stack.key_file) as tally:
        for process in stack.group("worker"):
            os.kill(process.pid, signal.SIGSTOP)  # so that it has done nothing yet
        rollout = stack.deploy(new)
        assert stack.slipway.rollout(rollout.id).phase == "pending"
        assert stack.replica_versions() == [old]
        kill_the_worker_and_let_it_end(stack, rollout, new)
    assert tally.versions() == {str(old), str(new)}


def test_a_worker_killed_while_replicas_start(stack: Stack) -> None:
    _, new = stack.at_rest()
    with load_that_must_not_notice(stack.infer_url, stack.key_file):
        rollout = stack.deploy(new)
        stack.until(rollout, lambda _: stack.replica_states(new) == ["starting"], what="a start")
        kill_the_worker_and_let_it_end(stack, rollout, new)


def test_a_worker_killed_while_a_gateway_has_not_agreed(stack: Stack) -> None:
    """A gateway that never answers holds the rollout at this point for as long as it is needed."""
    old, new = stack.at_rest()
    with load_that_must_not_notice(stack.infer_url, stack.key_file):
        with absent_gateway(stack):
            rollout = stack.deploy(new)
            stack.until(rollout, lambda seen: seen.waiting == "gateway", what="the gateway")
            before = stack.pid("worker")
            stack.kill_group("worker")
            stack.restarted("worker", before)
            still = stack.slipway.rollout(rollout.id)
            assert (still.phase, still.waiting) == ("provisioning", "gateway")
            assert still.timings["switched_at"] is None
            assert stack.answering_version() == str(old)
        ended = stack.finished(rollout)
        assert ended.outcome == "promoted", ended.sentence
        stack.require_at_rest(new)


def test_a_worker_killed_during_the_bake(stack: Stack) -> None:
    _, new = stack.at_rest()
    with load_that_must_not_notice(stack.infer_url, stack.key_file):
        rollout = stack.deploy(new, bake=stack.lasting.bake)
        baking = stack.until(rollout, lambda seen: seen.waiting == "timer", what="the bake")
        assert baking.outcome == ""
        kill_the_worker_and_let_it_end(stack, rollout, new)


def test_a_worker_killed_while_the_old_release_drains(stack: Stack) -> None:
    old, new = stack.at_rest()
    with load_that_must_not_notice(stack.infer_url, stack.key_file):
        rollout = stack.deploy(new)
        stack.until(
            rollout,
            lambda seen: (seen.phase, seen.waiting) == ("settling", "drain"),
            what="the drain",
        )
        assert stack.replica_versions() == sorted([old, new])
        kill_the_worker_and_let_it_end(stack, rollout, new)
