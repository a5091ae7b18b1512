"""One running replica: load, serve, drain, end.

On SIGTERM or SIGINT it is not ready first, so that the gateway turns away; it goes on serving for
`drain_wait` seconds, then stops accepting and finishes what is in flight, for at most
FINISH_SECONDS. A second signal ends the wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelserver import artifact, memory
from modelserver.dataplane import DataPlane, Identity, Serving
from modelserver.errors import LoadFailed
from modelserver.http import HttpApp
from modelserver.limits import Limits
from modelserver.logs import Log, LogHandler
from modelserver.server import Server
from modelserver.telemetry import Telemetry
from modelserver.tls import Identity as TlsIdentity
from wire.errors import ManifestRefused
from wire.manifest import ReleaseManifest

if TYPE_CHECKING:
    from modelserver.grpc_server import GrpcServer

GRACEFUL, USAGE, MANIFEST_REFUSED, MODEL_FAILED = 0, 2, 3, 4
FINISH_SECONDS = 30
# How long a model's thread may keep the loop from running: the default of 5 ms shows in every p99.
SWITCH_SECONDS = 0.0005
# Of the memory that a replica may take, what bodies on their way may.
BODIES_SHARE = 8
_GRPC_MISSING = "The gRPC port is not open yet."


@dataclass(frozen=True, slots=True)
class Ports:
    """`http` listens; `grpc` is only reserved (`modelserver.grpc_port`), None is no gRPC."""

    http: socket.socket
    grpc: socket.socket | None = None


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
        identity: TlsIdentity | None = None,
    ) -> None:
        self._manifest = manifest
        self._artifact = artifact
        self._log = log
        self._drain_wait = drain_wait
        self._identity = identity
        self._plane = DataPlane(
            Identity(manifest.endpoint, str(manifest.version), manifest.signature)
        )
        self._telemetry = Telemetry(
            replica=manifest.replica, release=manifest.release, boot_id=boot_id
        )
        self._grpc: GrpcServer | None = None
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._exit = GRACEFUL

    async def live(self, ports: Ports) -> int:
        """Serves on these ports until the end; returns the exit code."""
        self._loop = loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        logging.getLogger().addHandler(LogHandler(self._log))
        server = self._http(ports.http)
        server.start()
        # A daemon thread, not an executor's: a replica told to stop must not wait for a slow load.
        threading.Thread(target=self._load, args=(ports.grpc,), name="load", daemon=True).start()
        await self._stop.wait()
        if self._exit == GRACEFUL:
            await self._drain(server)
        endings = [server.close(FINISH_SECONDS)]
        if self._grpc is not None:
            endings.append(self._grpc.stop(FINISH_SECONDS))
        await asyncio.gather(*endings)
        self._log.event("stopped", exit_code=self._exit)
        return self._exit

    def _http(self, listening: socket.socket) -> Server:
        config, telemetry = self._manifest.config, self._telemetry
        app = HttpApp(
            self._plane,
            telemetry,
            self._log,
            token=self._manifest.telemetry_token,
            max_body_bytes=config.max_body_bytes,
            identity=self._identity,
        )
        held = max(config.memory_bytes // BODIES_SHARE, 2 * config.max_body_bytes)
        trimmer = memory.Trimmer(lambda: telemetry.in_flight > 0, release=self._plane.give_back)
        return Server(
            app,
            listening,
            identity=self._identity,
            limits=Limits(held_bytes=held),
            now_and_then=trimmer.look,
        )

    def _signalled(self, number: int) -> None:
        self._log.event("signal", signal=signal.Signals(number).name)
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def _drain(self, server: Server) -> None:
        was_ready = not self._plane.not_ready_because()
        self._plane.drain()
        server.draining = True
        if not was_ready:
            return  # nobody was sent here yet, so there is nobody to wait for
        self._log.event("draining", seconds=self._drain_wait)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), self._drain_wait)

    # --- in the loading thread: everything it finds out is handed to the event loop -------------

    def _load(self, reserved: socket.socket | None) -> None:
        try:
            serving = self._serving()
            self._done(self._serve(serving, _GRPC_MISSING if reserved else ""))
            if reserved is not None:
                self._open_grpc(reserved)
        except ManifestRefused as problem:
            self._log.event("manifest-refused", code=problem.code, message=problem.message)
            outcome = MANIFEST_REFUSED
        except LoadFailed as problem:
            self._log.event("model-load-failed", code=problem.code, message=problem.message)
            outcome = MODEL_FAILED
        except OSError as problem:
            self._log.event("bind-failed", message=str(problem))
            outcome = USAGE
        except Exception as problem:  # noqa: BLE001  # a dead thread would neither be ready nor end
            self._log.problem("model-load-failed", problem, code="model:load-failed")
            outcome = MODEL_FAILED
        else:
            self._soon(self._ready)
            return
        self._soon(self._fail, outcome)

    def _serving(self) -> Serving:
        started = time.perf_counter()
        manifest = self._manifest
        self._soon(self._plane.not_yet, "The artifact is being read.")
        blob = artifact.read(self._artifact, manifest)
        self._soon(self._plane.not_yet, "The model is still loading.")
        # Imported here, after the port is open: it takes longer than everything before it together.
        from modelserver import loading  # noqa: PLC0415

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

    def _open_grpc(self, reserved: socket.socket) -> None:
        """The import takes as long as a small model takes to load, so HTTP answers before."""
        from modelserver.grpc_server import GrpcServer  # noqa: PLC0415

        server = GrpcServer(
            self._plane,
            self._telemetry,
            self._log,
            max_body_bytes=self._manifest.config.max_body_bytes,
            environment=self._manifest.environment,
            tls=self._identity.current if self._identity else None,
        )
        host, port = reserved.getsockname()[:2]
        self._done(server.start(host, port))
        reserved.close()
        self._grpc = server

    def _done(self, work: Coroutine[None, None, object]) -> None:
        """Has the event loop do it, and waits."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _soon(self, callback: Callable[..., None], *arguments: object) -> None:
        self._loop.call_soon_threadsafe(callback, *arguments)

    # --- on the event loop -----------------------------------------------------------------------

    async def _serve(self, serving: Serving, missing: str) -> None:
        """Who asks is answered; but it is not ready as long as something is missing."""
        self._plane.serve(serving)
        self._plane.not_yet(missing)

    def _ready(self) -> None:
        self._plane.not_yet("")
        # What is there now stays: it need not be looked through for garbage again and again.
        gc.collect()
        gc.freeze()
        memory.trim()
        self._log.event("ready")

    def _fail(self, outcome: int) -> None:
        if not self._stop.is_set():
            self._exit = outcome
            self._stop.set()
