"""kill -9 of the whole worker while it builds an image on a real Engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from cli.shapes import Build
from tests.integration.engines import Engine, credentials_of
from tests.integration.stack import SHORT, Stack
from tests.plugin_tiers import BASE_IMAGE, need
from tests.running import eventually

pytestmark = [pytest.mark.needs("redis", "envoy", "docker", "root"), pytest.mark.faults]

HEARTBEAT = 0.5
ENVIRON = {
    **SHORT.environ,
    "SLIPWAY_BUILD_HEARTBEAT_SECONDS": str(HEARTBEAT),
    "SLIPWAY_HOST_TIMEOUT_SECONDS": "30",
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    need("docker")
    with Engine() as engine:
        engine.load(BASE_IMAGE)
        yield engine


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[Stack]:
    """Its one host is an Engine that can be hung."""
    home = tmp_path_factory.mktemp("stack")
    with Stack(home, replace(SHORT, within=90.0, environ=ENVIRON)) as stack:
        for host in stack.slipway.items("/hosts", environment="staging"):
            stack.request("DELETE", f"/hosts/{host['id']}", **{"if-match": "*"})
        stack.request(
            "POST",
            "/hosts",
            {
                "environment": "staging",
                "name": "far",
                "kind": "docker",
                "address": engine.tcp,
                "publish_address": engine.address,
                "tls": credentials_of(engine),
            },
            **{"idempotency-key": "the-engine"},
        )
        yield stack


def running(stack: Stack) -> Build | None:
    found = [each for each in stack.slipway.builds(most=5) if each.state == "running"]
    return found[0] if found else None


def test_a_killed_workers_build_is_taken_over_by_the_next_one(stack: Stack, engine: Engine) -> None:
    engine.hang()  # so that the build is under way for as long as it is needed
    try:
        rollout = stack.deploy(1)
        eventually(lambda: running(stack) is not None, within=60.0, what="a worker builds")
        build = running(stack)
        assert build is not None
        before = stack.pid("worker")
        stack.kill_group("worker")
        stack.restarted("worker", before)
    finally:
        engine.go_on()
    ended = stack.finished(rollout)
    assert ended.outcome == "promoted", ended.sentence
    done = stack.slipway.build(build.id)
    assert (done.state, done.attempts) == ("succeeded", 2)
    assert "Attempt 2" in stack.slipway.build_log(build.id)["text"]
    assert stack.answering_version() == "1"
    with engine.client() as client:
        ours = client.images.list(filters={"label": "slipway.owner"})
        assert len(ours) == 1, "it was built once, whoever did it"
