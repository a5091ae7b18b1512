"""Everything twice: workers, the beat, messages. The rows decide; whoever comes second finds so."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from tests.integration.stack import Stack
from tests.integration.tally import load_that_must_not_notice
from tests.running import ROOT, eventually

pytestmark = [pytest.mark.needs("redis", "envoy"), pytest.mark.faults]

# In a process of its own, because the tests' Django has other settings than the stack's.
SEND_AGAIN = """
import sys, time, django
django.setup()
from controlplane.celery import app
for _ in range(int(sys.argv[2])):
    app.send_task("deployments.tasks.reconcile_rollout", args=[sys.argv[1]])
    app.send_task("deployments.tasks.sweep")
    time.sleep(0.05)
print("sent")
"""
MESSAGES = 60


def test_two_workers_and_two_beats_end_a_rollout_once(stack: Stack) -> None:
    _, new = stack.at_rest()
    with load_that_must_not_notice(stack.infer_url, stack.key_file), ExitStack() as more:
        aloud = ("--hostname", "second@%h", "--loglevel", "INFO")
        worker = more.enter_context(another(stack, "worker", aloud))
        schedule = str(stack.home / "run" / "second-schedule")
        beat = more.enter_context(another(stack, "beat", ("--schedule", schedule)))
        eventually(lambda: "ready." in stack.log("second-worker"), what="it takes work")
        rollout = stack.deploy(new)
        ended = stack.finished(rollout)
        assert ended.outcome == "promoted", ended.sentence
        assert "reconcile_rollout" in worked_on(stack.log("second-worker")), "it had its share"
        assert worker.poll() is None, "it ran all the time"
        assert beat.poll() is None
        assert decided_once(stack, rollout.id)
        stack.require_at_rest(new)


def test_the_same_message_many_times_changes_nothing(stack: Stack) -> None:
    _, new = stack.at_rest()
    with load_that_must_not_notice(stack.infer_url, stack.key_file):
        rollout = stack.deploy(new, bake=stack.lasting.bake)
        row = rollout.id.partition("_")[2]
        sender = subprocess.Popen(
            [sys.executable, "-c", SEND_AGAIN, row, str(MESSAGES)],
            cwd=ROOT,
            env=environ_of(stack, "worker"),
            stdout=subprocess.PIPE,
            text=True,
        )
        ended = stack.finished(rollout)
        said, _ = sender.communicate(timeout=stack.lasting.within)
        assert said.strip() == "sent"
        assert ended.outcome == "promoted", ended.sentence
        assert decided_once(stack, rollout.id)
        stack.require_at_rest(new)


def worked_on(log: str) -> str:
    """The part after it was ready: before that it lists what it could do."""
    return log.partition("ready.")[2]


def decided_once(stack: Stack, rollout_id: str) -> bool:
    """One switch and one end, however many looked."""
    kinds = [event["kind"] for event in stack.slipway.items(f"/rollouts/{rollout_id}/events")]
    return (kinds.count("routes-changed"), kinds.count("done")) == (1, 1)


@contextmanager
def another(
    stack: Stack, program: str, options: tuple[str, ...]
) -> Iterator[subprocess.Popen[bytes]]:
    """The same command once more, with what must differ said again at its end."""
    command = [*psutil.Process(stack.pid(program)).cmdline(), *options]
    with (stack.home / "log" / f"second-{program}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environ_of(stack, program), stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def environ_of(stack: Stack, program: str) -> dict[str, str]:
    return psutil.Process(stack.pid(program)).environ()
