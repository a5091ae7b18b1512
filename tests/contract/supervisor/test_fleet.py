"""The supervisor's promises about processes, kept with real ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from controlplane.supervisor import leftovers
from controlplane.supervisor.child import Child, cap_log
from controlplane.supervisor.fleet import Fleet
from controlplane.supervisor.guard import Guard
from controlplane.supervisor.policy import Backoff, Liveness
from controlplane.supervisor.reporter import Reporter
from tests.fakes.tiny_programs import DIES, FORKS, STAYS, STUBBORN, eventually, python, said

ROOT = Path(__file__).resolve().parents[3]


class Heard(Reporter):
    def __init__(self) -> None:
        super().__init__(as_json=True)
        self.events: list[dict[str, Any]] = []

    def say(self, event: str, **facts: object) -> None:
        self.events.append({"event": event, **facts})


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def fleet(tmp_path: Path, heard: Heard) -> Iterator[Fleet]:
    fleet = Fleet(
        folder=tmp_path,
        logs=tmp_path,
        environ={leftovers.MARK: str(tmp_path)},
        reporter=heard,
        log_cap=1000,
        backoff=Backoff(first=0.05, cap=0.2),
    )
    yield fleet
    fleet.stop()


def pid_of(fleet: Fleet, name: str) -> int:
    pid = fleet.state()[name]["pid"]
    assert isinstance(pid, int)
    return pid


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_killed_program_starts_again_as_another_process(fleet: Fleet, heard: Heard) -> None:
    fleet.start(python("web", STAYS))
    first = pid_of(fleet, "web")
    os.kill(first, signal.SIGKILL)

    def another_runs() -> bool:
        fleet.tick()
        return fleet.running("web") and pid_of(fleet, "web") != first

    eventually(another_runs)
    assert is_gone(first)
    assert fleet.state()["web"]["restarts"] == 1
    assert [e["how"] for e in heard.events if e["event"] == "restart"] == ["signal 9"]


def test_a_program_that_dies_at_once_is_retried_ever_more_slowly(
    fleet: Fleet, heard: Heard
) -> None:
    fleet.start(python("web", DIES))

    def four_deaths() -> bool:
        fleet.tick()
        return len(heard.events) >= 4

    eventually(four_deaths)
    assert {event["how"] for event in heard.events} == {"exit code 3"}
    assert [round(event["delay"], 2) for event in heard.events][:4] == [0.05, 0.1, 0.2, 0.2]


def test_what_a_program_writes_is_for_this_account_alone(tmp_path: Path) -> None:
    written = tmp_path / "written"
    writes = [sys.executable, "-c", f"open({str(written)!r}, 'w').close()"]
    child = Child(writes, log=tmp_path / "log", environ={}, folder=tmp_path)
    eventually(lambda: child.exit_code() == 0)
    assert written.stat().st_mode & 0o077 == 0


def test_what_a_killed_program_had_started_goes_with_it(fleet: Fleet) -> None:
    fleet.start(python("worker", FORKS))
    eventually(lambda: said(fleet.log("worker")).strip().isdecimal())
    grandchild = int(said(fleet.log("worker")))
    os.kill(pid_of(fleet, "worker"), signal.SIGKILL)

    def it_is_gone() -> bool:
        fleet.tick()
        return is_gone(grandchild)

    eventually(it_is_gone)


def test_a_stop_ends_the_stubborn_too_and_keeps_the_order(fleet: Fleet) -> None:
    fleet.start(python("store", STAYS, stage=2))
    fleet.start(python("stubborn", STUBBORN, stage=1, grace=0.3))
    eventually(lambda: said(fleet.log("stubborn")) == "up\n")
    fleet.start(python("worker", STAYS, stage=0))
    pids = [pid_of(fleet, name) for name in ("worker", "stubborn", "store")]
    alive_after: list[list[bool]] = []
    fleet.stop(after_stage=lambda stage: alive_after.append([not is_gone(pid) for pid in pids]))
    assert alive_after == [[False, True, True], [False, False, True], [False, False, False]]


def test_a_program_that_answers_nothing_is_ended_and_comes_back(fleet: Fleet) -> None:
    program = python("web", STAYS)
    fleet.start(type(program)("web", program.command, 0, alive_url="http://127.0.0.1:1/livez"))
    first = pid_of(fleet, "web")

    def another_runs() -> bool:
        fleet.end_hanging(Liveness(start_grace=0.2), lambda name: None)
        fleet.tick()
        return fleet.running("web") and pid_of(fleet, "web") != first

    eventually(another_runs)


def test_a_full_log_is_emptied_and_its_last_part_kept(fleet: Fleet, tmp_path: Path) -> None:
    talks = "import time\nwhile True: print('x' * 99, flush=True); time.sleep(0.005)"
    fleet.start(python("talks", talks))
    log = fleet.log("talks")
    eventually(lambda: len(said(log)) > 1000)
    cap_log(log, 1000)
    older = tmp_path / "talks.log.1"
    assert len(said(older)) > 1000
    eventually(lambda: 0 < len(said(log)) < 2000)
    assert "\0" not in said(log)


def test_when_the_supervisor_is_killed_its_programs_end_with_it(tmp_path: Path) -> None:
    """A kill -9 runs no handler; the kernel tells the programs."""
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT.format(folder=str(tmp_path), stays=STAYS)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    child = int(parent.stdout.readline())
    eventually(lambda: "sleep" in " ".join(psutil.Process(child).cmdline()[1:3]))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    eventually(lambda: is_gone(child))


_PARENT = """
import sys, time
from pathlib import Path
from controlplane.supervisor.child import Child
folder = Path({folder!r})
child = Child([sys.executable, "-c", {stays!r}], log=folder / "log", environ={{}}, folder=folder)
print(child.pid, flush=True)
time.sleep(60)
"""


def test_detached_processes_of_this_home_are_found_and_ended(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    replica = [sys.executable, "-c", STAYS, "modelserver", "--announce"]
    ours = subprocess.Popen([*replica, f"{home}/replicas/r1/announce"], start_new_session=True)
    theirs = subprocess.Popen([*replica, f"{other}/replicas/r1/announce"], start_new_session=True)
    try:
        eventually(lambda: [p.pid for p in leftovers.find(home)] == [ours.pid])
        assert leftovers.end(home, grace=1.0) == 1
        assert is_gone(ours.pid)
        assert theirs.poll() is None
        assert leftovers.end(home) == 0
    finally:
        for process in (ours, theirs):
            process.kill()
            process.wait()


def test_a_replica_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STUBBORN, "modelserver"]
    replica = subprocess.Popen([*command, f"{tmp_path}/replicas/r1"], stdout=subprocess.PIPE)
    assert replica.stdout
    replica.stdout.readline()  # its handler is in place
    assert leftovers.end(tmp_path, grace=0.3) == 1
    assert is_gone(replica.pid)
    replica.wait()
    replica.stdout.close()


def test_the_guard_ends_replicas_when_the_supervisor_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STAYS, "modelserver", f"{tmp_path}/replicas/r1"]
    replica = subprocess.Popen(command, start_new_session=True)
    try:
        parent = subprocess.Popen(
            [sys.executable, "-c", _GUARDED.format(home=str(tmp_path))], stdout=subprocess.PIPE
        )
        assert parent.stdout
        parent.stdout.readline()
        parent.kill()
        parent.wait()
        parent.stdout.close()
        eventually(lambda: is_gone(replica.pid))
    finally:
        replica.kill()
        replica.wait()


def test_the_guard_leaves_everything_alone_after_an_orderly_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STAYS, "modelserver", f"{tmp_path}/replicas/r1"]
    replica = subprocess.Popen(command, start_new_session=True)
    try:
        Guard(tmp_path, ROOT).dismiss()
        assert replica.poll() is None
    finally:
        replica.kill()
        replica.wait()


_GUARDED = """
import time
from pathlib import Path
from controlplane.supervisor import programs
from controlplane.supervisor.guard import Guard
guard = Guard(Path({home!r}), programs.root())
print("guarded", flush=True)
time.sleep(60)
"""
