"""One running replica: load, serve, drain, end.

On SIGTERM or SIGINT it is not ready first, so that the gateway turns away; it goes on serving for
`drain_wait` seconds, then stops accepting and finishes what is in flight, for at most
FINISH_SECONDS. A second signal ends the wait.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from modelserver.dataplane import DataPlane, Identity, Serving
from modelserver.errors import LoadFailed
from modelserver.http import HttpApp
from modelserver.logs import Log, LogHandler
from modelserver.telemetry import Telemetry
from wire import envelope
from wire.errors import ManifestRefused, Unreadable
from wire.manifest import ReleaseManifest

GRACEFUL, MANIFEST_REFUSED, MODEL_FAILED = 0, 3, 4
FINISH_SECONDS = 30
KEEP_ALIVE_SECONDS = 75
# How long a model's thread may keep the loop from running: the default of 5 ms shows in every p99.
SWITCH_SECONDS = 0.0005


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: here a signal starts a drain, not a stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Replica:
    """The exit code is decided once: by a signal, or by an artifact that cannot be served."""

    def __init__(
        self,
        manifest: ReleaseManifest,
        artifact: Path,
        boot_id: str,
        log: Log,
        *,
        drain_wait: float,
    ) -> None:
        self._manifest = manifest
        self._artifact = artifact
        self._log = log
        self._drain_wait = drain_wait
        self._plane = DataPlane(
            Identity(manifest.endpoint, str(manifest.version), manifest.signature)
        )
        telemetry = Telemetry(replica=manifest.replica, release=manifest.release, boot_id=boot_id)
        self._app = HttpApp(
            self._plane,
            telemetry,
            log,
            token=manifest.telemetry_token,
            max_body_bytes=manifest.config.max_body_bytes,
        )
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._exit = GRACEFUL

    async def live(self, listening: socket.socket) -> int:
        """Serves on this listening socket until the end; returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        logging.getLogger().addHandler(LogHandler(self._log))
        server = _Server(_uvicorn_config(self._app))
        serving = loop.create_task(server.serve(sockets=[listening]))
        # A daemon thread, not an executor's: a replica told to stop must not wait for a slow load.
        threading.Thread(target=self._load, args=(loop,), name="load", daemon=True).start()
        await self._stop.wait()
        if self._exit == GRACEFUL:
            await self._drain()
        server.should_exit = True
        await serving
        self._log.event("stopped", exit_code=self._exit)
        return self._exit

    def _signalled(self, number: int) -> None:
        self._log.event("signal", signal=signal.Signals(number).name)
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def _drain(self) -> None:
        was_ready = not self._plane.not_ready_because()
        self._plane.drain()
        if not was_ready:
            return  # nobody was sent here yet, so there is nobody to wait for
        self._log.event("draining", seconds=self._drain_wait)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), self._drain_wait)

    def _load(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the loading thread; everything it finds out is handed to the event loop."""
        try:
            serving = self._serving()
        except ManifestRefused as problem:
            self._log.event("manifest-refused", code=problem.code, message=problem.message)
            outcome = MANIFEST_REFUSED
        except LoadFailed as problem:
            self._log.event("model-load-failed", code=problem.code, message=problem.message)
            outcome = MODEL_FAILED
        except Exception as problem:  # noqa: BLE001  # a dead thread would neither be ready nor end
            self._log.problem("model-load-failed", problem, code="model:load-failed")
            outcome = MODEL_FAILED
        else:
            loop.call_soon_threadsafe(self._plane.serve, serving)
            self._log.event("ready")
            return
        loop.call_soon_threadsafe(self._fail, outcome)

    def _fail(self, outcome: int) -> None:
        if not self._stop.is_set():
            self._exit = outcome
            self._stop.set()

    def _serving(self) -> Serving:
        started = time.perf_counter()
        blob = self._checked_artifact()
        # Imported here, after the port is open: it takes longer than everything before it together.
        from modelserver import loading  # noqa: PLC0415

        manifest = self._manifest
        prepared = loading.prepare(
            blob,
            manifest.signature,
            manifest.config,
            allow_nonfinite=manifest.allow_nonfinite,
        )
        del blob
        self._log.event(
            "loaded",
            seconds=time.perf_counter() - started,
            warm_seconds=prepared.warm.seconds,
            loop_values=prepared.warm.loop_values,
        )
        sys.setswitchinterval(SWITCH_SECONDS)
        return prepared.serving

    def _checked_artifact(self) -> bytes:
        try:
            if self._manifest.artifact_key:
                return self._decrypted(base64.b64decode(self._manifest.artifact_key))
            blob = self._artifact.read_bytes()
        except OSError as problem:
            message = f"The artifact cannot be read: {os.strerror(problem.errno or 0)}."
            raise ManifestRefused("artifact:unreadable", message) from problem
        except Unreadable as problem:
            raise ManifestRefused(problem.code, problem.message) from problem
        if "sha256:" + hashlib.sha256(blob).hexdigest() != self._manifest.artifact_digest:
            message = "The artifact is not the one that the manifest names: its digest differs."
            raise ManifestRefused("artifact:digest-mismatch", message)
        return blob

    def _decrypted(self, key: bytes) -> bytes:
        with self._artifact.open("rb") as file:
            return envelope.decrypt_bytes(file, key, digest=self._manifest.artifact_digest)


def _uvicorn_config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        loop="uvloop",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=FINISH_SECONDS,
    )
