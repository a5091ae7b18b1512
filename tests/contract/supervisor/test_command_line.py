"""`python -m controlplane.supervisor`, as a person meets it when something is in the way."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from controlplane.supervisor.lock import HomeLock

ROOT = Path(__file__).resolve().parents[3]


def supervisor(*arguments: str, home: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "controlplane.supervisor", *arguments],
        cwd=ROOT,
        env={**os.environ, "SLIPWAY_HOME": str(home), **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def the_one_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


def test_a_taken_port_names_the_port_the_taker_and_another_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = the_one_line(supervisor("up", "--foreground", home=tmp_path, SLIPWAY_WEB_PORT=port))
    assert f"Port {port} is taken by python" in line
    assert f"pid {os.getpid()}" in line
    assert "SLIPWAY_WEB_PORT=" in line


def test_a_second_one_on_the_same_home_is_told_where_the_first_is(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with HomeLock(tmp_path / "run").take("http://127.0.0.1:8123"):
        line = the_one_line(supervisor("up", "--foreground", home=tmp_path))
    assert "already runs" in line
    assert "http://127.0.0.1:8123" in line
    assert "make down" in line


def test_up_in_the_background_passes_the_one_line_on(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with HomeLock(tmp_path / "run").take("http://127.0.0.1:8123"):
        assert "already runs" in the_one_line(supervisor("up", home=tmp_path))


def test_a_program_that_reads_json_gets_the_line_as_an_event(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with HomeLock(tmp_path / "run").take("http://127.0.0.1:8123"):
        result = supervisor("up", "--foreground", "--json", home=tmp_path)
    assert result.returncode == 1
    event = json.loads(result.stdout)
    assert event["event"] == "failed"
    assert "already runs" in event["text"]


def test_a_home_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    line = the_one_line(supervisor("up", "--foreground", home=in_the_way / "home"))
    assert "SLIPWAY_HOME" in line


def test_a_lock_left_by_a_killed_process_locks_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(json.dumps({"pid": 1, "web_url": "http://127.0.0.1:1"}))
    lock = HomeLock(tmp_path)
    assert lock.holder() is None
    with lock.take("http://127.0.0.1:8000"):
        holder = HomeLock(tmp_path).holder()
        assert holder is not None
        assert holder.pid == os.getpid()
    assert lock.holder() is None


@pytest.mark.parametrize("verb", ["down", "status"])
def test_nothing_runs_is_said_and_is_no_traceback(tmp_path: Path, verb: str) -> None:
    result = supervisor(verb, home=tmp_path)
    assert "does not run" in result.stdout
    assert result.stderr == ""
    assert result.returncode == (0 if verb == "down" else 1)
