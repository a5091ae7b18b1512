"""Health and reflection, as gRPC's own tools ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from tests.contract.modelserver.grpc_harness import SECONDS, Served, refusal, served, watch
from tests.unit.modelserver.fakes import Adder, plane_for

Status = grpc.StatusCode


@pytest.fixture
def grpc_server() -> Iterator[Served]:
    with served(plane_for(Adder())) as it:
        yield it


def _check(it: Served, service: str) -> Any:
    asked = health_pb2.HealthCheckRequest(service=service).SerializeToString()
    told = it.send("/grpc.health.v1.Health/Check", asked)
    return health_pb2.HealthCheckResponse.FromString(told).status


def test_health_is_asked_and_watched_as_grpc_does(grpc_server: Served) -> None:
    answer = health_pb2.HealthCheckResponse
    service = "inference.GRPCInferenceService"
    assert {_check(grpc_server, ""), _check(grpc_server, service)} == {answer.SERVING}
    assert refusal(lambda: _check(grpc_server, "another"))[0] == Status.NOT_FOUND
    watching, unknown = watch(grpc_server, service), watch(grpc_server, "another")
    assert next(watching).status == answer.SERVING
    assert next(unknown).status == answer.SERVICE_UNKNOWN
    grpc_server.on_loop(grpc_server.plane.drain)
    assert next(watching).status == answer.NOT_SERVING
    assert _check(grpc_server, "") == answer.NOT_SERVING


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_it_tells_tools_what_services_and_messages_it_has(
    grpc_server: Served, version: str
) -> None:
    asked = reflection_pb2.ServerReflectionRequest
    call = grpc_server.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=asked.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    questions = [
        asked(list_services=""),
        asked(file_containing_symbol="inference.GRPCInferenceService"),
        asked(file_containing_symbol="nobody.knows"),
        asked(),
    ]
    services, symbol, unknown, nothing = call(iter(questions), timeout=SECONDS)
    names = {service.name for service in services.list_services_response.service}
    assert {"inference.GRPCInferenceService", "grpc.health.v1.Health"} <= names
    assert symbol.file_descriptor_response.file_descriptor_proto
    assert unknown.error_response.error_code == Status.NOT_FOUND.value[0]
    assert nothing.error_response.error_code == Status.INVALID_ARGUMENT.value[0]
