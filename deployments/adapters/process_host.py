"""Replicas as processes of this machine: for the embedded default, never for production.

Each replica has a folder `<root>/<replica id>` with its host's name, its log, its artifact, the
address that it announced and, once it ended, its exit code. There is no list of what runs: the
process table is the only truth, so that a worker killed between two lines leaves nothing unknown.
A replica is found by the `--name <host>/<replica>` on its command line.

A shell stays between the worker and the replica. It sets the limits, and it writes the exit code
even when the worker that started it is long gone.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from deployments.ports import HostFacts, ObservedReplica, ReplicaPlan

# $1 memory in KiB, $2 the file for the exit code; the rest is the replica's command line. Its
# output is bounded by the size limit on files: logging stops there, serving does not. The outer
# shell ends at once, so that nobody has to collect the replica's status; a background job would
# lose its standard input, so that travels as descriptor 3.
_SHELL = """
ulimit -v "$1"; ulimit -c 0; ulimit -n 4096; ulimit -f 131072
code="$2"; shift 2; exec 3<&0
{ "$@" <&3 3<&-; echo $? > "$code.new" && mv "$code.new" "$code"; } &
"""
_TAIL_BYTES = 256 * 1024
_SPAWN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ProcessHost:
    """`name` is the host's public id; `source` is the folder that holds the model server."""

    name: str
    root: Path
    source: Path
    memory_bytes: int
    drain_wait_seconds: float
    bind_address: str = "127.0.0.1"

    def start(self, plan: ReplicaPlan) -> ObservedReplica | None:
        folder = self.root / plan.replica
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            if self._processes(plan.replica) or (folder / "exit").exists():
                return None
            # Hosts of one machine share the root; each must see its own replicas only.
            (folder / "host").write_text(self.name)
            artifact = plan.place_artifact(folder)
            self._spawn(plan, folder, artifact)
        return None  # where it listens it says itself, a moment later

    def facts(self) -> HostFacts:
        return HostFacts(
            os=platform.platform(terse=True),
            cpus=os.cpu_count() or 0,
            memory_bytes=psutil.virtual_memory().total,
        )

    def observe(self) -> Mapping[str, ObservedReplica]:
        running = self._all_processes()
        names = self._folders() | running.keys()
        return {name: self._observed(name, name in running) for name in names}

    def stop(self, replica: str, *, force: bool) -> None:
        for process in self._processes(replica):
            if not _is_shell(process.info["cmdline"]):
                _signal(process, signal.SIGKILL if force else signal.SIGTERM)

    def remove(self, replica: str) -> None:
        if not self._processes(replica):
            shutil.rmtree(self.root / replica, ignore_errors=True)

    def log(self, replica: str, *, lines: int) -> str:
        try:
            with (self.root / replica / "log").open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - _TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _spawn(self, plan: ReplicaPlan, folder: Path, artifact: Path) -> None:
        command = [
            *(sys.executable, "-m", "modelserver", "serve"),
            *("--artifact", str(artifact), "--trust", plan.trust),
            *("--name", f"{self.name}/{plan.replica}"),
            *("--bind", f"{self.bind_address}:0", "--grpc-bind", f"{self.bind_address}:0"),
            *("--announce", str(folder / "announce.json")),
            *("--drain-wait", str(self.drain_wait_seconds)),
        ]
        limits = [str(self.memory_bytes // 1024), str(folder / "exit")]
        with (folder / "log").open("ab") as log:
            subprocess.run(
                ["/bin/sh", "-c", _SHELL, "slipway-replica", *limits, *command],
                input=plan.manifest,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={"PATH": os.defpath, "PYTHONPATH": str(self.source), "HOME": str(folder)},
                start_new_session=True,
                close_fds=True,
                check=True,
                timeout=_SPAWN_SECONDS,
            )

    def _observed(self, name: str, running: bool) -> ObservedReplica:
        folder = self.root / name
        announced = _read_json(folder / "announce.json")
        return ObservedReplica(
            replica=name,
            running=running,
            address=str(announced.get("address", "")),
            port=_whole(announced.get("port")),
            grpc_port=_whole(announced.get("grpc_port")),
            boot_id=str(announced.get("boot_id", "")),
            exit_code=None if running else _exit_code(folder / "exit"),
        )

    def _folders(self) -> set[str]:
        """The replicas that left a folder, of this host only."""
        return {path.parent.name for path in self.root.glob("*/host") if _holds(path, self.name)}

    def _all_processes(self) -> dict[str, list[psutil.Process]]:
        """By replica. The shell counts: it is there before its replica is, and after."""
        found: dict[str, list[psutil.Process]] = {}
        prefix = f"{self.name}/"
        for process in psutil.process_iter(["cmdline", "status"]):
            name = _name_of(process.info["cmdline"])
            alive = process.info["status"] != psutil.STATUS_ZOMBIE
            if alive and name is not None and name.startswith(prefix):
                found.setdefault(name.removeprefix(prefix), []).append(process)
        return found

    def _processes(self, replica: str) -> list[psutil.Process]:
        return self._all_processes().get(replica, [])


def _name_of(command: list[str] | None) -> str | None:
    """What follows `--name` on the command line of a model server, or of its shell."""
    if not command or "modelserver" not in command:
        return None
    try:
        return command[command.index("--name") + 1]
    except (ValueError, IndexError):
        return None


def _holds(path: Path, text: str) -> bool:
    try:
        return path.read_text() == text
    except FileNotFoundError:
        return False  # removed meanwhile


def _is_shell(command: list[str]) -> bool:
    return command[1:2] == ["-c"]


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One starter at a time per replica, also across processes; the kernel lets go of the lock of
    a starter that dies."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read_json(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _exit_code(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None
