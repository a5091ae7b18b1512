"""The gateway dies: it alone, its launcher with it, and both while web is away."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from tests.integration.stack import ENVIRONMENT, Stack, kill
from tests.integration.tally import Tally, load
from tests.running import eventually

pytestmark = [pytest.mark.needs("redis", "envoy"), pytest.mark.faults]

GATEWAY = f"gateway-{ENVIRONMENT}"


def serves(stack: Stack) -> bool:
    with suppress(AssertionError, httpx.HTTPError):
        return bool(stack.answering_version())
    return False


def require_failures_only_while_it_was_away(tally: Tally, killed_at: float, back_at: float) -> None:
    """And then only for want of a connection: once it is back it never answers "I do not know"."""
    assert tally.attempted == len(tally.attempts)
    outside = [each for each in tally.failed if each.ended < killed_at or each.began > back_at]
    assert outside == []
    assert {each.status for each in tally.failed} == {0}, tally.told()
    assert any(each.began > back_at for each in tally.answered)


def test_envoy_killed_during_a_rollout(stack: Stack) -> None:
    """Its launcher starts it again at once, and the rollout ends as if nothing had been."""
    _, new = stack.at_rest()
    with load(stack.infer_url, stack.key_file) as tally:
        rollout = stack.deploy(new, bake=stack.lasting.bake)
        stack.until(rollout, lambda seen: seen.waiting == "timer", what="the bake")
        killed_at = kill(stack.envoy())
        eventually(lambda: serves(stack), within=stack.lasting.within, what="serving again")
        back_at = time.time()
        ended = stack.finished(rollout)
        assert ended.outcome == "promoted", ended.sentence
    require_failures_only_while_it_was_away(tally, killed_at, back_at)
    stack.require_at_rest(new)


def test_the_launcher_killed_takes_envoy_with_it_and_both_come_back(stack: Stack) -> None:
    version, _ = stack.at_rest()
    with load(stack.infer_url, stack.key_file) as tally:
        envoy = stack.envoy()
        killed_at = time.time()
        before = stack.kill(GATEWAY)
        eventually(lambda: not envoy.is_running(), what="Envoy is gone")
        stack.restarted(GATEWAY, before)
        eventually(lambda: serves(stack), within=stack.lasting.within, what="serving again")
        back_at = time.time()
        time.sleep(1.0)
    require_failures_only_while_it_was_away(tally, killed_at, back_at)
    stack.require_at_rest(version)


def test_web_and_then_the_gateway_killed(stack: Stack) -> None:
    """It starts from the snapshot that the one before it had accepted, kept on its own disk."""
    version, new = stack.at_rest()
    eventually(lambda: snapshot_knows(stack, version), what="the snapshot is on disk")
    with load(stack.infer_url, stack.key_file) as tally:
        with web_kept_away(stack):
            envoy = stack.envoy()
            killed_at = time.time()
            before = stack.kill(GATEWAY)
            eventually(lambda: not envoy.is_running(), what="Envoy is gone")
            stack.restarted(GATEWAY, before)
            eventually(lambda: serves(stack), within=stack.lasting.within, what="serving again")
            back_at = time.time()
            time.sleep(2.0)
            assert stack.answering_version() == str(version)
            with pytest.raises(httpx.TransportError):
                httpx.get(f"{stack.web_url}/livez", trust_env=False)
        eventually(stack.is_well, within=stack.lasting.within, what="web is back")
        ended = stack.finished(stack.deploy(new))
        assert ended.outcome == "promoted", ended.sentence
    require_failures_only_while_it_was_away(tally, killed_at, back_at)
    stack.require_at_rest(new)


def snapshot_knows(stack: Stack, version: int) -> bool:
    (release,) = (part["release"] for part in stack.endpoint().traffic)
    kept = stack.home / "gateways" / ENVIRONMENT / "snapshot.json"
    return kept.exists() and release in json.dumps(json.loads(kept.read_text()))


def take(address: tuple[str, int]) -> socket.socket:
    """The kernel closes what a killed process held a moment after its end is known."""
    taken: list[socket.socket] = []

    def try_it() -> bool:
        with suppress(OSError):
            taken.append(socket.create_server(address))
        return bool(taken)

    eventually(try_it, what="the port of the killed web is free")
    return taken[0]


@contextmanager
def web_kept_away(stack: Stack) -> Iterator[None]:
    """Killed, and its port taken by somebody who hangs up, so that it cannot come back inside."""
    with stack.supervisor_stopped():
        stack.kill("web")
        squatter = take(("127.0.0.1", httpx.URL(stack.web_url).port or 0))
    over = threading.Event()

    def hang_up() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                squatter.accept()[0].close()

    squatter.settimeout(0.1)
    thread = threading.Thread(target=hang_up)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        squatter.close()
