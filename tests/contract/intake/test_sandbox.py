"""The sandbox with real processes: whatever a program does, it ends, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from deployments.adapters import sandbox
from deployments.adapters.sandbox import End, Finished, Limits

LIMITS = Limits(memory_bytes=512 * 1024**2, cpu_seconds=1, wall_seconds=30)


def run(code: str, limits: Limits = LIMITS) -> Finished:
    return sandbox.run([sys.executable, "-S", "-c", code], limits)


def test_it_returns_what_the_program_wrote_and_its_exit_code() -> None:
    finished = run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (finished.end, finished.code) == (End.EXITED, 3)
    assert (finished.output, finished.errors) == (b"out\n", "err\n")


def test_the_program_gets_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_DATABASE_URL", "postgresql://user:secret@host/db")
    names = run("import os; print(' '.join(sorted(os.environ)))").output.decode().split()
    ours = {"PYTHONPATH", "PYTHONUTF8", "HOME", "TMPDIR", "OMP_NUM_THREADS"}
    assert set(names) <= ours | {"OPENBLAS_NUM_THREADS", "LC_CTYPE"}


def test_standard_input_is_empty() -> None:
    assert run("import sys; print(len(sys.stdin.read()))").output == b"0\n"


def test_no_open_file_of_ours_is_inherited(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as secret, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        os.set_inheritable(secret.fileno(), True)
        os.set_inheritable(listening.fileno(), True)
        code = (
            "import os; links = (f'/proc/self/fd/{fd}' for fd in range(3, 200));"
            "print([os.readlink(link) for link in links if os.path.lexists(link)])"
        )
        assert run(code).output.strip() == b"[]"


def test_its_working_folder_is_empty_writable_and_gone_afterwards() -> None:
    code = "import os; print(os.getcwd(), os.listdir()); open('made', 'w').write('x')"
    folder, listing = run(code).output.decode().split(maxsplit=1)
    assert listing.strip() == "[]"
    assert not Path(folder).exists()


def test_too_much_memory_is_refused_by_the_kernel() -> None:
    finished = run("x = bytearray(100 * 1024**3)")
    assert finished.end is End.EXITED
    assert finished.code == 1
    assert "MemoryError" in finished.errors


def test_a_busy_program_ends_with_its_processor_time() -> None:
    patient = Limits(memory_bytes=512 * 1024**2, cpu_seconds=1, wall_seconds=60)
    finished = run("while True: pass", patient)
    assert (finished.end, finished.code) == (End.OUT_OF_TIME, signal.SIGXCPU)


def test_an_idle_program_ends_with_the_wall_time() -> None:
    quick = Limits(memory_bytes=512 * 1024**2, cpu_seconds=5, wall_seconds=0.5)
    assert run("import time; time.sleep(60)", quick).end is End.OUT_OF_TIME


def test_a_native_crash_is_told_by_its_signal() -> None:
    finished = run("import os; os.abort()")
    assert (finished.end, finished.code) == (End.KILLED, 6)


def test_what_it_writes_is_bounded() -> None:
    small = Limits(memory_bytes=512 * 1024**2, cpu_seconds=5, wall_seconds=5, file_bytes=1024**2)
    finished = run("while True: print('x' * 1000)", small)
    assert finished.end is End.EXITED
    assert finished.code != 0
    assert len(finished.output) <= 1024**2


def test_its_children_end_with_it() -> None:
    code = "import os, sys, time\nchild = os.fork()\nif child == 0: time.sleep(60)\nprint(child)\n"
    child = int(run(code).output)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(child).wait(timeout=10)


def test_a_program_that_is_not_there_cannot_start() -> None:
    assert sandbox.run(["/no/such/program"], LIMITS).end is End.CANNOT_START
