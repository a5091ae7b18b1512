"""A gRPC server around a fake model, on a thread of its own, and what its clients need."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from grpc_health.v1 import health_pb2

from modelserver.dataplane import DataPlane
from modelserver.grpc_server import GrpcServer
from modelserver.logs import Log
from modelserver.pb import inference_pb2 as pb
from modelserver.telemetry import Telemetry
from wire.report import Report

T = TypeVar("T")
INFER = "/inference.GRPCInferenceService/ModelInfer"
SECONDS = 20
ANSWERS = {
    "ServerLive": (pb.ServerLiveRequest, pb.ServerLiveResponse),
    "ServerReady": (pb.ServerReadyRequest, pb.ServerReadyResponse),
    "ServerMetadata": (pb.ServerMetadataRequest, pb.ServerMetadataResponse),
    "ModelReady": (pb.ModelReadyRequest, pb.ModelReadyResponse),
    "ModelMetadata": (pb.ModelMetadataRequest, pb.ModelMetadataResponse),
    "ModelInfer": (pb.ModelInferRequest, pb.ModelInferResponse),
}


@dataclass
class Served:
    """`server` belongs to `loop`, which runs on another thread: reach it through `on_loop`."""

    plane: DataPlane
    telemetry: Telemetry
    server: GrpcServer
    loop: asyncio.AbstractEventLoop
    port: int
    log: io.StringIO
    channel: grpc.Channel

    def ask(self, method: str, *, timeout: float = SECONDS, **fields: Any) -> Any:
        """The answer to one of the protocol's calls; raises grpc.RpcError."""
        asked, answered = ANSWERS[method]
        call = self.channel.unary_unary(
            f"/inference.GRPCInferenceService/{method}",
            request_serializer=asked.SerializeToString,
            response_deserializer=answered.FromString,
        )
        return call(asked(**fields), timeout=timeout)

    def send(self, path: str, body: bytes, **more: Any) -> bytes:
        """The answer to any bytes on any path."""
        answer: bytes = self.channel.unary_unary(path)(body, **({"timeout": SECONDS} | more))
        return answer

    def on_loop(self, look: Callable[[], T]) -> T:
        async def looked() -> T:
            return look()

        return asyncio.run_coroutine_threadsafe(looked(), self.loop).result(SECONDS)

    def report(self) -> Report:
        return self.on_loop(lambda: self.telemetry.report(ready=True))

    def stop(self, grace: float) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(grace), self.loop).result(SECONDS)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@contextlib.contextmanager
def served(plane: DataPlane, **options: Any) -> Iterator[Served]:
    """Listening; without TLS unless `tls` is among the options, then `channel` is of no use."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="grpc-server")
    thread.start()
    stream = io.StringIO()
    telemetry = Telemetry(replica="rep_1", release="rel_1", boot_id="boot")

    async def started() -> tuple[GrpcServer, int]:
        given = {"max_body_bytes": 1 << 20} | options
        server = GrpcServer(plane, telemetry, Log(stream), **given)
        return server, await server.start("127.0.0.1", 0)

    try:
        server, port = asyncio.run_coroutine_threadsafe(started(), loop).result(SECONDS)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            it = Served(plane, telemetry, server, loop, port, stream, channel)
            try:
                yield it
            finally:
                it.stop(0)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SECONDS)
        loop.close()


def refusal(ask: Callable[[], object]) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    """What a call was refused with: status, message, trailing metadata."""
    try:
        answer = ask()
    except grpc.RpcError as problem:
        call: Any = problem
        return call.code(), call.details(), dict(call.trailing_metadata() or ())
    raise AssertionError(f"it was answered: {answer!r}")


def watch(it: Served, service: str) -> Any:
    """What the health of a service is, and becomes."""
    call = it.channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    return call(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
