"""The whole embedded stack as a test uses it: real programs, free ports, a home of its own."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from cli import Client

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ("staging", "production")


def free_ports(count: int) -> list[int]:
    """Different ones; somebody else could take one before it is used, which has to be risked."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def eventually(condition: Callable[[], bool], *, within: float = 20.0, what: str = "") -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s: {what or condition}"
        time.sleep(0.05)


class RunningSlipway:
    """`with RunningSlipway(tmp_path) as slipway:` — everything runs inside, nothing afterwards."""

    def __init__(
        self, home: Path, environ: Mapping[str, str] | None = None, *, host: str = "process"
    ) -> None:
        """`host`: whether its replicas are processes, or containers of this machine's Engine."""
        self.home = home
        self.host = host
        web, *gateways = free_ports(3)
        ports = {"SLIPWAY_WEB_PORT": str(web)}
        for name, port in zip(ENVIRONMENTS, gateways, strict=True):
            ports[f"SLIPWAY_GATEWAY_PORT_{name.upper()}"] = str(port)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("SLIPWAY_")}
        inherited.pop("DJANGO_SETTINGS_MODULE", None)  # the tests' own
        self.environ = {**inherited, **ports, "SLIPWAY_HOME": str(home), **(environ or {})}
        self.events: list[dict[str, Any]] = []
        self._heard: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def start(self) -> Self:
        self.supervisor = subprocess.Popen(
            [
                *(sys.executable, "-m", "controlplane.supervisor", "up"),
                *("--foreground", "--json", "--until-eof", "--host", self.host),
            ],
            cwd=ROOT,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()
        try:
            self.link = self.wait_for("link")
            self.ready = self.wait_for("ready")
        except BaseException:
            self.stop()
            raise
        self.web_url: str = self.ready["web_url"]
        self.gateways: dict[str, str] = self.ready["gateways"]
        return self

    def client(self) -> Client:
        """As the first admin."""
        return Client(self.web_url, self.link["token"])

    def wait_for(self, event: str, *, within: float = 60.0) -> dict[str, Any]:
        deadline = time.monotonic() + within
        while True:
            happened = self._heard.get(timeout=max(0.1, deadline - time.monotonic()))
            assert happened is not None, f"it ended before {event!r}: {self.events}"
            assert happened["event"] != "failed", happened["text"]
            if happened["event"] == event:
                return happened

    def pid(self, program: str) -> int | None:
        """None while it is down."""
        state = json.loads((self.home / "run" / "state.json").read_text())
        pid: int | None = state["programs"][program]["pid"]
        return pid

    def kill(self, program: str) -> int:
        """SIGKILL, and the proof that it hit. Returns the pid that is gone."""
        pid = self.pid(program)
        assert pid is not None, f"{program} does not run"
        victim = psutil.Process(pid)
        victim.send_signal(signal.SIGKILL)
        eventually(lambda: gone(victim), what=f"{program} is gone")
        return pid

    def log(self, program: str) -> str:
        path = self.home / "log" / f"{program}.log"
        return path.read_text() if path.exists() else ""

    def processes(self) -> list[psutil.Process]:
        """Everything of this home that runs, replicas and Envoys included."""
        return [each for each in psutil.process_iter() if self._mine(each)]

    def stop(self) -> int:
        """In order. The exit code of the supervisor."""
        if self.supervisor.stdin and not self.supervisor.stdin.closed:
            self.supervisor.stdin.close()
        try:
            return self.supervisor.wait(60)
        except subprocess.TimeoutExpired:
            self.supervisor.kill()
            raise
        finally:
            self._listener.join(10)
            if self.supervisor.stdout:
                self.supervisor.stdout.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _listen(self) -> None:
        for line in self.supervisor.stdout or ():
            event = json.loads(line)
            self.events.append(event)
            self._heard.put(event)
        self._heard.put(None)

    def _mine(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            environ, words = process.environ(), process.cmdline()
        except psutil.Error:
            return False
        inside = f"{self.home}{os.sep}"
        return environ.get("SLIPWAY_HOME") == str(self.home) or any(
            word.startswith(inside) for word in words
        )


def gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
