"""The protocol's calls over the data plane. Each is taken as a stream of bytes with one message in
it, which looks the same to a client: so the wait for a message can end, and one that cannot be read
is answered like any other mistake.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from modelserver import grpc_messages
from modelserver.dataplane import DataPlane, Results
from modelserver.grpc_intake import Context, Intake, NoMethod, Refusal, refusal
from modelserver.grpc_streams import HEALTH, REFLECTIONS, SERVICE, Streams
from modelserver.logs import Log
from modelserver.pb import inference_pb2 as pb
from modelserver.telemetry import Telemetry

SMOKE, KEY = "x-slipway-smoke", "x-slipway-key"
_OURS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE}


class Calls(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in its stubs only
    """All methods there are, by their paths."""

    def __init__(self, plane: DataPlane, telemetry: Telemetry, log: Log, intake: Intake) -> None:
        self._plane = plane
        self._telemetry = telemetry
        self._log = log
        self._intake = intake
        streams = Streams(plane, log, intake)
        looks: dict[str, tuple[type[Message], Callable[[Any], Message]]] = {
            f"/{SERVICE}/ServerLive": (pb.ServerLiveRequest, self._server_live),
            f"/{SERVICE}/ServerReady": (pb.ServerReadyRequest, self._server_ready),
            f"/{SERVICE}/ServerMetadata": (pb.ServerMetadataRequest, self._server_metadata),
            f"/{SERVICE}/ModelReady": (pb.ModelReadyRequest, self._model_ready),
            f"/{SERVICE}/ModelMetadata": (pb.ModelMetadataRequest, self._model_metadata),
            f"/{HEALTH}/Check": (health_pb2.HealthCheckRequest, streams.check),
        }
        self._methods: dict[str, Any] = {
            path: grpc.stream_unary_rpc_method_handler(self._look(kind, answer))
            for path, (kind, answer) in looks.items()
        }
        self._add(f"/{SERVICE}/ModelInfer", self._inferred)
        watch = grpc.stream_stream_rpc_method_handler(streams.watch)
        reflect = grpc.stream_stream_rpc_method_handler(streams.reflect)
        self._methods[f"/{HEALTH}/Watch"] = watch
        self._methods |= {f"/{name}/ServerReflectionInfo": reflect for name in REFLECTIONS}
        self._add("", self._no_method)

    def _add(self, path: str, answer: Callable[[Context, bool], Awaitable[bytes]]) -> None:
        async def called(_: object, context: Context) -> bytes:
            return await self._count(answer, context)

        self._methods[path] = grpc.stream_unary_rpc_method_handler(called)

    def service(self, handler_call_details: Any) -> Any:
        return self._methods.get(handler_call_details.method, self._methods[""])

    # --- requests of users: counted ------------------------------------------------------------

    async def _count(
        self, answer: Callable[[Context, bool], Awaitable[bytes]], context: Context
    ) -> bytes:
        """Enters the counts once, whatever its end; but a call whose client hung up or whose
        deadline passed is cancelled in here, and was not answered."""
        started = time.perf_counter()
        telemetry = self._telemetry
        metadata = dict(context.invocation_metadata())
        smoke = SMOKE in metadata
        told, refused, code = b"", None, None
        telemetry.in_flight += 1
        try:
            told = await answer(context, smoke)
        except Exception as problem:  # noqa: BLE001  # a bug must not leave the client unanswered
            refused, code = refusal(problem, self._log, what="infer")
        finally:
            telemetry.in_flight -= 1
        if smoke:
            telemetry.smoked()
        else:
            seconds, key = time.perf_counter() - started, metadata.get(KEY)
            telemetry.answered(_outcome(refused), seconds, code=code, key=key)
        if refused:
            await context.abort(*refused)
        return told

    async def _inferred(self, context: Context, smoke: bool) -> bytes:
        self._intake.require_peer(context)
        asked: pb.ModelInferRequest = await self._intake.message(pb.ModelInferRequest, context)
        request = grpc_messages.request(self._plane, asked)
        raw = bool(asked.raw_input_contents)
        running = self._plane.run(request)
        results = running if isinstance(running, Results) else await running
        answer = grpc_messages.response(self._plane, request, results.arrays, raw=raw)
        if not smoke:
            self._telemetry.inferred(results)
        return answer.SerializeToString()

    async def _no_method(self, context: Context, smoke: bool) -> bytes:
        self._intake.require_peer(context)
        raise NoMethod("path:unknown", "There is no such method here.")

    # --- what only reads -----------------------------------------------------------------------

    def _look(
        self, kind: type[Message], answer: Callable[[Any], Message]
    ) -> Callable[[object, Context], Awaitable[bytes]]:
        async def looked(_: object, context: Context) -> bytes:
            try:
                self._intake.require_peer(context)
                asked = await self._intake.message(kind, context)
                return answer(asked).SerializeToString()
            except Exception as problem:  # noqa: BLE001  # see _count
                refused, _code = refusal(problem, self._log, what=kind.DESCRIPTOR.name)
            await context.abort(*refused)
            return b""

        return looked

    def _server_live(self, _: pb.ServerLiveRequest) -> Message:
        return pb.ServerLiveResponse(live=self._plane.live())

    def _server_ready(self, _: pb.ServerReadyRequest) -> Message:
        return pb.ServerReadyResponse(ready=not self._plane.not_ready_because())

    def _server_metadata(self, _: pb.ServerMetadataRequest) -> Message:
        return grpc_messages.server_metadata(self._plane.server_metadata())

    def _model_ready(self, asked: pb.ModelReadyRequest) -> Message:
        self._plane.require_model(asked.name, asked.version or None)
        return pb.ModelReadyResponse(ready=not self._plane.not_ready_because())

    def _model_metadata(self, asked: pb.ModelMetadataRequest) -> Message:
        told = self._plane.model_metadata(asked.name, asked.version or None)
        return grpc_messages.model_metadata(told)


def _outcome(refused: Refusal | None) -> str:
    """HTTP's classes, so that one report counts both."""
    if refused is None:
        return "2xx"
    return "5xx" if refused.status in _OURS else "4xx"
