"""kill -9 of the programs behind a rollout: web, Redis, the collector, the beat."""

from __future__ import annotations

import pytest
import redis

from tests.integration.stack import Stack
from tests.integration.tally import load_that_must_not_notice

pytestmark = [pytest.mark.needs("redis", "envoy"), pytest.mark.faults]


def test_web_killed_during_a_rollout(stack: Stack) -> None:
    """While it is away nobody acknowledges anything, so the rollout waits for it."""
    _, new = stack.at_rest()
    with load_that_must_not_notice(stack.infer_url, stack.key_file):
        rollout = stack.deploy(new)
        stack.until(rollout, lambda _: stack.replica_states(new) == ["starting"], what="a start")
        before = stack.kill("web")
        ended = stack.finished(rollout)
        assert ended.outcome == "promoted", ended.sentence
        assert stack.pid("web") != before
        stack.require_at_rest(new)


def test_redis_flushed_and_killed_during_a_rollout(stack: Stack) -> None:
    """Messages, locks of the broker and heartbeats are gone; the rows know what was going on."""
    _, new = stack.at_rest()
    with load_that_must_not_notice(stack.infer_url, stack.key_file):
        rollout = stack.deploy(new, bake=stack.lasting.bake)
        stack.until(rollout, lambda _: stack.replica_states(new) == ["starting"], what="a start")
        with redis.Redis.from_url(stack.redis_url()) as store:
            assert store.dbsize() > 0
            store.flushall()
        before = stack.kill("redis")
        ended = stack.finished(rollout)
        assert ended.outcome == "promoted", ended.sentence
        assert stack.pid("redis") != before
        stack.require_at_rest(new)


def test_the_collector_killed_while_replicas_start(stack: Stack) -> None:
    """Readiness is its news. The next one asks the replicas itself."""
    _, new = stack.at_rest()
    with load_that_must_not_notice(stack.infer_url, stack.key_file):
        rollout = stack.deploy(new)
        stack.until(rollout, lambda _: stack.replica_states(new) == ["starting"], what="a start")
        before = stack.kill("collector")
        ended = stack.finished(rollout)
        assert ended.outcome == "promoted", ended.sentence
        assert stack.pid("collector") != before
        stack.require_at_rest(new)


def test_the_beat_killed_during_the_bake(stack: Stack) -> None:
    _, new = stack.at_rest()
    with load_that_must_not_notice(stack.infer_url, stack.key_file):
        rollout = stack.deploy(new, bake=stack.lasting.bake)
        stack.until(rollout, lambda seen: seen.waiting == "timer", what="the bake")
        before = stack.kill("beat")
        ended = stack.finished(rollout)
        assert ended.outcome == "promoted", ended.sentence
        assert stack.pid("beat") != before
        stack.require_at_rest(new)
