"""The gRPC side of a fake replica, and a client that speaks to a gateway as clients do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from modelserver.pb import inference_pb2 as messages
from tests.contract.gateway.harness import Gateway, Replica

SERVICE = "inference.GRPCInferenceService"


if TYPE_CHECKING:
    _Handler = grpc.GenericRpcHandler[Any, Any]
else:
    _Handler = grpc.GenericRpcHandler


class GrpcReplica(_Handler):
    """Beside a `Replica`, whose readiness counts for both. Remembers the calls."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self.calls: list[tuple[str, str]] = []
        self.metadata: list[dict[str, str]] = []

    def service(self, details: Any) -> Any:
        service, _, method = details.method.strip("/").rpartition("/")
        if service != SERVICE:
            return None

        async def answer(request: Any, context: Any) -> Any:
            self.calls.append(
                (method, getattr(request, "model_name", getattr(request, "name", "")))
            )
            self.metadata.append({k: str(v) for k, v in context.invocation_metadata()})
            if self._replica.holds is not None:
                await self._replica.holds.wait()
            return getattr(messages, f"{method}Response")()

        return grpc.unary_unary_rpc_method_handler(
            answer,
            getattr(messages, f"{method}Request").FromString,
            lambda response: response.SerializeToString(),
        )

    async def start(self) -> None:
        tls = self._replica.served.tls
        assert tls is not None
        assert tls.clients_of is not None
        self._server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
        self._server.add_generic_rpc_handlers((self,))
        healthy = health.aio.HealthServicer()  # type: ignore[attr-defined]  # the stubs miss it
        await healthy.set("", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(healthy, self._server)
        reflection.enable_server_reflection((SERVICE, reflection.SERVICE_NAME), self._server)
        credentials = grpc.ssl_server_credentials(
            [(tls.key.read_bytes(), tls.certificate.read_bytes())],
            root_certificates=tls.clients_of.read_bytes(),
            require_client_auth=True,
        )
        self._replica.grpc_port = self._server.add_secure_port("127.0.0.1:0", credentials)
        await self._server.start()

    async def kill(self) -> None:
        await self._server.stop(None)


@dataclass(frozen=True, slots=True)
class Answer:
    code: grpc.StatusCode
    details: str
    headers: Mapping[str, str]
    message: Any = None


@dataclass
class Client:
    channel: grpc.aio.Channel
    headers: Mapping[str, str] = field(default_factory=dict)

    async def infer(self, model: str, *, version: str = "", **how: Any) -> Answer:
        request = messages.ModelInferRequest(model_name=model, model_version=version)
        return await self.call("ModelInfer", request, **how)

    async def call(
        self,
        method: str,
        request: Any,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 20.0,
        compression: grpc.Compression | None = None,
    ) -> Answer:
        """Of a message, or of bytes that are sent as they are."""
        called = self.channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=lambda r: r if isinstance(r, bytes) else r.SerializeToString(),
            response_deserializer=getattr(messages, f"{method}Response").FromString,
        )
        told = tuple({**self.headers, **(headers or {})}.items())
        call = called(request, metadata=told, timeout=timeout, compression=compression)
        try:
            message = await call
        except grpc.aio.AioRpcError as problem:
            both = (*problem.initial_metadata(), *problem.trailing_metadata())
            said = {str(key): str(value) for key, value in both}
            return Answer(problem.code(), problem.details() or "", said)
        said = {str(key): str(value) for key, value in await call.initial_metadata()}
        return Answer(grpc.StatusCode.OK, "", said, message)


@asynccontextmanager
async def client_of(
    gateway: Gateway, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Client]:
    target = f"127.0.0.1:{gateway.port}"
    options = [("grpc.max_send_message_length", -1), ("grpc.enable_http_proxy", 0)]
    if gateway.trust:
        trusted = grpc.ssl_channel_credentials(gateway.trust.read_bytes())
        channel = grpc.aio.secure_channel(target, trusted, options)
    else:
        channel = grpc.aio.insecure_channel(target, options)
    async with channel:
        yield Client(channel, headers or {})
