"""Health and reflection, as gRPC's own tools ask for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from modelserver.dataplane import DataPlane
from modelserver.errors import NotFound
from modelserver.grpc_intake import Context, Intake, refusal
from modelserver.logs import Log

SERVICE = "inference.GRPCInferenceService"
HEALTH = "grpc.health.v1.Health"
# One protocol under two names: newer clients try the first and fall back to the second.
REFLECTIONS = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
WATCH_SECONDS = 0.25

_Status = health_pb2.HealthCheckResponse


class Streams:
    def __init__(self, plane: DataPlane, log: Log, intake: Intake) -> None:
        self._plane = plane
        self._log = log
        self._intake = intake

    def check(self, asked: health_pb2.HealthCheckRequest) -> Message:
        status = self._status(asked.service)
        if status == _Status.SERVICE_UNKNOWN:
            raise NotFound("path:unknown", "There is no such service here.")
        answer: Message = _Status(status=status)
        return answer

    def _status(self, service: str) -> Any:
        if service not in {"", SERVICE}:
            return _Status.SERVICE_UNKNOWN
        return _Status.NOT_SERVING if self._plane.not_ready_because() else _Status.SERVING

    async def watch(self, _: object, context: Context) -> AsyncIterator[bytes]:
        """The health now and whenever it changes, until the client or this server goes."""
        try:
            self._intake.require_peer(context)
            asked = await self._intake.message(health_pb2.HealthCheckRequest, context)
            said = None
            while not self._intake.closing:
                status = self._status(asked.service)
                if status != said:
                    yield _Status(status=status).SerializeToString()
                said = status
                await asyncio.sleep(WATCH_SECONDS)
            return
        except Exception as problem:  # noqa: BLE001  # a bug must not leave the client unanswered
            refused, _code = refusal(problem, self._log, what="health")
        await context.abort(*refused)

    async def reflect(self, _: object, context: Context) -> AsyncIterator[bytes]:
        """What services and messages there are, for tools that have no copy of the protocol."""
        try:
            self._intake.require_peer(context)
            # Only the few who ask pay for the import, and the event loop does not.
            reflection = await asyncio.to_thread(_reflection)
            servicer = reflection.aio.ReflectionServicer((SERVICE, HEALTH, *REFLECTIONS))
            kind = reflection._reflection_pb2.ServerReflectionRequest
            async for answer in servicer.ServerReflectionInfo(self._asked(kind, context), context):
                yield answer.SerializeToString()
            return
        except Exception as problem:  # noqa: BLE001  # see watch
            refused, _code = refusal(problem, self._log, what="reflection")
        await context.abort(*refused)

    async def _asked(self, kind: type[Message], context: Context) -> AsyncIterator[Any]:
        while (asked := await self._intake.next_message(kind, context)) is not None:
            yield asked


def _reflection() -> Any:
    from grpc_reflection.v1alpha import reflection  # noqa: PLC0415

    return reflection
