"""The gRPC server: its port, its certificate, its limits and its end.

Importing this takes as long as a small model takes to load; who starts a replica does it beside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc

from modelserver.dataplane import DataPlane
from modelserver.grpc_calls import Calls
from modelserver.grpc_intake import BODY_SECONDS, Intake
from modelserver.logs import Log
from modelserver.telemetry import Telemetry
from wire import identity
from wire.manifest import ReplicaTls

STREAMS_PER_CONNECTION = 1024
CALLS_AT_A_TIME = 4096
HANDSHAKE_SECONDS = 10
PING_SECONDS, PING_ANSWER_SECONDS = 60, 20  # finds clients that went without a word


class GrpcServer:
    """One per replica, on the event loop of its HTTP server. `tls` tells the certificate of now and
    is asked at each handshake; None is plain text."""

    def __init__(
        self,
        plane: DataPlane,
        telemetry: Telemetry,
        log: Log,
        *,
        max_body_bytes: int,
        environment: str = "",
        tls: Callable[[], ReplicaTls] | None = None,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._tls = tls
        admits = None
        if tls is not None:

            def admits(name: str | None) -> bool:
                return name is not None and identity.role_at(environment, name) is not None

        self._intake = Intake(admits, body_seconds)
        self._calls = Calls(plane, telemetry, log, self._intake)
        self._options = _options(max_body_bytes)
        self._server: Any = None

    async def start(self, host: str, port: int) -> int:
        """Listens on the event loop that runs; returns the port, which 0 leaves to the system.
        Raises OSError."""
        server: Any = grpc.aio.server(
            options=self._options, maximum_concurrent_rpcs=CALLS_AT_A_TIME
        )
        server.add_generic_rpc_handlers((self._calls,))
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if self._tls is None:
                bound = server.add_insecure_port(address)
            else:
                bound = server.add_secure_port(address, _credentials(self._tls))
        except RuntimeError as problem:
            raise OSError(f"gRPC cannot listen on {address}") from problem
        await server.start()
        self._server = server
        return int(bound)

    async def stop(self, grace: float) -> None:
        """Takes no more calls and finishes those that have come, for at most `grace` seconds."""
        if self._server is not None:
            self._intake.close()
            await self._server.stop(grace)


def _options(max_body_bytes: int) -> Sequence[tuple[str, int]]:
    return (
        ("grpc.max_receive_message_length", max_body_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION),
        ("grpc.server_handshake_timeout_ms", 1000 * HANDSHAKE_SECONDS),
        ("grpc.keepalive_time_ms", 1000 * PING_SECONDS),
        ("grpc.keepalive_timeout_ms", 1000 * PING_ANSWER_SECONDS),
        ("grpc.so_reuseport", 1),  # modelserver.grpc_port
    )


def _credentials(tls: Callable[[], ReplicaTls]) -> grpc.ServerCredentials:
    def configured() -> Any:
        now = tls()
        pair = (now.key.encode(), now.certificate.encode())
        return grpc.ssl_server_certificate_configuration([pair], now.authority.encode())

    return grpc.dynamic_ssl_server_credentials(
        configured(), configured, require_client_authentication=True
    )
