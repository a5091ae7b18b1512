"""One Envoy process and its admin interface."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from controlplane.gateway_launcher.bootstrap import ADMIN_SOCKET

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class Envoy:
    """Started, asked, stopped. Questions are bounded; one without an answer gives None."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.started = time.monotonic()
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=admin_socket(process.pid)),
            base_url="http://envoy",
            timeout=2.0,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def lived(self) -> float:
        return time.monotonic() - self.started

    async def ready(self) -> bool:
        """Does it serve? Not before its first configuration, or before it has waited in vain for
        one."""
        answer = await self._get("/ready")
        return answer is not None and answer.status_code == 200

    async def versions(self) -> dict[str, str] | None:
        """The versions it runs, as cheap to ask for as possible."""
        answer = await self._get("/stats?type=TextReadouts&filter=version_text&format=json")
        if answer is None or answer.status_code != 200:
            return None
        return {each["name"]: each["value"] for each in answer.json()["stats"] if each.get("value")}

    async def config_dump(self) -> dict[str, Any] | None:
        answer = await self._get("/config_dump")
        if answer is None or answer.status_code != 200:
            return None
        dump: dict[str, Any] = answer.json()
        return dump

    async def active_requests(self) -> int | None:
        answer = await self._get("/stats?filter=^http.models.downstream_rq_active$&format=json")
        if answer is None or answer.status_code != 200:
            return None
        return sum(int(each["value"]) for each in answer.json()["stats"])

    async def reopen_log(self) -> None:
        await self._post("/reopen_logs")

    async def stop(self, drain_seconds: float) -> None:
        """Tell clients to go (`connection: close`), wait for the requests in flight, end it."""
        if self.process.returncode is None:
            await self._post("/healthcheck/fail")
            await self._post("/drain_listeners?graceful&skip_exit")
            deadline = time.monotonic() + drain_seconds
            while time.monotonic() < deadline and await self.active_requests():
                await asyncio.sleep(0.05)
            await self._end()
        await self._client.aclose()

    async def _end(self) -> None:
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), 3.0)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()

    async def close(self) -> None:
        await self._client.aclose()

    async def _get(self, path: str) -> httpx.Response | None:
        return await self._ask("GET", path)

    async def _post(self, path: str) -> httpx.Response | None:
        return await self._ask("POST", path)

    async def _ask(self, method: str, path: str) -> httpx.Response | None:
        try:
            return await self._client.request(method, path)
        except httpx.HTTPError:
            return None


def admin_socket(pid: int) -> str:
    """Where an Envoy's admin interface listens, short however deep its folder lies."""
    return f"/proc/{pid}/cwd/{ADMIN_SOCKET}"


async def start(binary: Path, *, bootstrap: Path, state: Path, concurrency: int) -> Envoy:
    """Must be called from the main thread: Linux ties the death signal to the thread that forks."""
    process = await asyncio.create_subprocess_exec(
        str(binary.absolute()),
        "--config-path",
        str(bootstrap.absolute()),
        "--disable-hot-restart",
        "--concurrency",
        str(concurrency),
        "--log-level",
        "warning",
        # Of the access log.
        "--file-flush-interval-msec",
        "1000",
        "--log-path",
        str((state / "envoy.log").absolute()),
        cwd=state,
        stdin=asyncio.subprocess.DEVNULL,
        # Ctrl-C in a terminal reaches the launcher only, which then drains.
        start_new_session=True,
        preexec_fn=_die_with(os.getpid()),
    )
    return Envoy(process)


def _die_with(parent: int) -> Any:
    """An Envoy without its launcher would hold the port that the next launcher needs, and nobody
    would keep its snapshot; so the kernel ends it with us, even after `kill -9`."""

    def prepare() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return prepare
