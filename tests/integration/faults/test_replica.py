"""A replica dies under load, alone or as one of two."""

from __future__ import annotations

import time

import pytest

from tests.integration.stack import Stack, kill
from tests.integration.tally import load
from tests.running import eventually

pytestmark = [pytest.mark.needs("redis", "envoy"), pytest.mark.faults]

CONNECTIONS = 8
# The kernel takes a moment to end a process, and the gateway one to see that its connections are
# closed: until then it writes requests into them, at most one into each. What is asked later than
# this has no excuse.
DYING = 0.1


def test_a_replica_of_two_killed_under_load_fails_only_what_it_held(stack: Stack) -> None:
    version, _ = stack.at_rest(replicas=2)
    with load(stack.infer_url, stack.key_file, connections=CONNECTIONS, pace=0.005) as tally:
        time.sleep(1.0)  # a load, so that there is something in flight
        before = stack.replicas()
        name, victim = sorted(before.items())[0]
        killed_at = kill(victim)
        eventually(
            lambda: name not in stack.replicas() and len(stack.replicas()) == 2,
            within=stack.lasting.within,
            what="another one in its place",
        )
        eventually(
            lambda: stack.replica_states(version).count("ready") == 2,
            within=stack.lasting.within,
            what="it is ready",
        )
        time.sleep(1.0)  # and takes its share
    assert tally.attempted == len(tally.attempts)
    assert len(tally.failed) <= 2 * CONNECTIONS, tally.told()
    assert all(each.status == 503 and "termination" in each.problem for each in tally.failed)
    late = [each for each in tally.failed if each.began > killed_at + DYING]
    assert late == [], f"killed at {killed_at}: {late}"
    assert all(each.ended >= killed_at for each in tally.failed)
    stack.require_at_rest(version, replicas=2)


def test_the_only_replica_killed_is_replaced_without_anybody_asking(stack: Stack) -> None:
    version, _ = stack.at_rest()
    with load(stack.infer_url, stack.key_file) as tally:
        ((name, victim),) = stack.replicas().items()
        killed_at = kill(victim)
        eventually(
            lambda: stack.replica_states(version) == ["ready"] and name not in stack.replicas(),
            within=stack.lasting.within,
            what="another one in its place",
        )
        eventually(lambda: answers(stack), within=stack.lasting.within, what="it serves again")
        again_at = time.time()
        time.sleep(1.0)
    assert tally.attempted == len(tally.attempts)
    outside = [each for each in tally.failed if each.ended < killed_at or each.began > again_at]
    assert outside == []
    assert {each.status for each in tally.failed} == {503}, "the gateway itself answers"
    stack.require_at_rest(version)


def test_a_replica_of_the_target_killed_during_the_bake_is_replaced(stack: Stack) -> None:
    """One crash is no verdict about a release; it is replaced, and people see that it happened."""
    _, new = stack.at_rest(replicas=2)
    rollout = stack.deploy(new, bake=stack.lasting.bake + 4, replicas=2)
    stack.until(rollout, lambda seen: seen.waiting == "timer", what="the bake")
    ours = {each["id"] for each in stack.endpoint().replicas if each["version"] == new}
    victim = next(process for name, process in stack.replicas().items() if name in ours)
    kill(victim)
    ended = stack.finished(rollout)
    assert ended.outcome == "promoted", ended.sentence
    stack.require_at_rest(new, replicas=2)


def answers(stack: Stack) -> bool:
    try:
        return bool(stack.answering_version())
    except AssertionError:
        return False
