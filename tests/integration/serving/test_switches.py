"""Ten switches back and forth under load, and not one request that is not answered."""

from __future__ import annotations

import time

import pytest

from cli import Rollout
from tests.integration.stack import Stack
from tests.integration.tally import load_that_must_not_notice

pytestmark = pytest.mark.needs("redis", "envoy")

CONNECTIONS, SWITCHES = 16, 10


def test_sixteen_connections_and_ten_switches_and_every_attempt_is_answered(stack: Stack) -> None:
    """On connections that stay open: those are switched as well, not only new ones."""
    old, new = stack.at_rest()
    with load_that_must_not_notice(
        stack.infer_url, stack.key_file, connections=CONNECTIONS
    ) as tally:
        wanted, expected = new, []
        for _ in range(SWITCHES):
            rollout = stack.deploy(wanted)
            stack.until(rollout, acknowledged, what="every gateway runs the new routes")
            since = time.time()
            assert stack.answering_version() == str(wanted)
            time.sleep(0.3)  # some answers of this release alone, from all the connections
            expected.append((since, time.time(), str(wanted)))
            wanted = 3 - wanted
        stack.at_rest()
    assert tally.versions() == {str(old), str(new)}
    for since, until, version in expected:
        asked = [each for each in tally.attempts if since < each.began and each.ended < until]
        assert {each.version for each in asked} == {version}


def test_a_version_that_breaks_in_its_replica_takes_no_traffic(stack: Stack) -> None:
    old, _ = stack.at_rest()
    with load_that_must_not_notice(stack.infer_url, stack.key_file) as tally:
        ended = stack.finished(stack.deploy(3))
        assert (ended.outcome, ended.reason_code) == ("reverted", "model-load-failed")
        assert ended.evidence["log_tail"]
        stack.require_at_rest(old)
    assert tally.versions() == {str(old)}


def test_more_replicas_of_what_is_live_already_and_fewer_again(stack: Stack) -> None:
    version, _ = stack.at_rest()
    with load_that_must_not_notice(stack.infer_url, stack.key_file):
        for replicas in (2, 1):
            ended = stack.finished(stack.deploy(version, replicas=replicas))
            assert ended.outcome == "promoted", ended.sentence
            stack.require_at_rest(version, replicas=replicas)


def acknowledged(rollout: Rollout) -> bool:
    return rollout.is_decided and rollout.timings["switch_acknowledged_at"] is not None
