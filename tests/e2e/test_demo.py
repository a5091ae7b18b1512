"""`make demo`, as a person gets it: the story holds, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import ROOT, RunningSlipway, eventually

pytestmark = [pytest.mark.needs("redis", "envoy")]


@pytest.fixture
def places(tmp_path: Path) -> RunningSlipway:
    """Ports and a home for a demo; it is the demo that starts something in them."""
    return RunningSlipway(tmp_path / "demo")


@pytest.fixture
def demo(places: RunningSlipway, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = start_demo(places, tmp_path)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()
    eventually(lambda: places.processes() == [], what="nothing is left of it")


def start_demo(places: RunningSlipway, home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "demo", *arguments],
        cwd=ROOT,
        env={**places.environ, "SLIPWAY_HOME": str(home), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it never said {words!r}: {said}")


def test_the_whole_story_holds_without_a_terminal(places: RunningSlipway, tmp_path: Path) -> None:
    demo = start_demo(places, tmp_path, "--check")
    said, _ = demo.communicate(timeout=240)
    assert demo.returncode == 0, said
    assert said.index("one-time login link") < said.index("Version 1 goes to staging")
    assert "✔ both lines work as printed" in said
    assert "answered with 200, 0 failed" in said
    assert places.processes() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_it_ends_no_process_is_left(
    demo: subprocess.Popen[str], places: RunningSlipway, number: signal.Signals
) -> None:
    read_until(demo, "one-time login link")
    assert places.processes()
    demo.send_signal(number)
    demo.wait(60)
    eventually(lambda: places.processes() == [], within=30, what="all have ended")


def test_a_second_demo_says_where_the_first_is_and_touches_nothing(
    demo: subprocess.Popen[str], places: RunningSlipway, tmp_path: Path
) -> None:
    read_until(demo, "one-time login link")
    second = start_demo(places, tmp_path)
    said, _ = second.communicate(timeout=30)
    assert second.returncode == 1
    (line,) = said.splitlines()
    assert f"127.0.0.1:{places.environ['SLIPWAY_WEB_PORT']}" in line
    assert demo.poll() is None


def test_a_taken_port_is_one_line(places: RunningSlipway, tmp_path: Path) -> None:
    port = int(places.environ["SLIPWAY_GATEWAY_PORT_STAGING"])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        demo = start_demo(places, tmp_path)
        said, _ = demo.communicate(timeout=30)
    assert demo.returncode == 1
    (line,) = said.splitlines()
    assert f"Port {port} is taken by python" in line
    assert f"pid {os.getpid()}" in line
