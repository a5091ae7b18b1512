"""gRPC through a gateway, with the real Envoy and grpcio's own client and server."""

from __future__ import annotations

import asyncio
import gzip
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from deployments.domain.routing import Grant
from modelserver.pb import inference_pb2 as messages
from tests.contract.gateway.grpc_replica import Answer, GrpcReplica, client_of
from tests.contract.gateway.harness import Gateway, Replica, Web, until
from tests.contract.gateway.keys import ALICE, MALLORY, bearer, forged
from tests.contract.gateway.routes import BLUE, GREEN, tumour

pytestmark = pytest.mark.needs("envoy")

Replicas = Callable[..., Awaitable[Replica]]
OverGrpc = Callable[[Replica], Awaitable[GrpcReplica]]
Gateways = Callable[..., Awaitable[Gateway]]

OK, NOT_FOUND = grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND


@dataclass
class Site:
    """Blue and green replicas that speak both, and a gateway before them."""

    web: Web
    blue: Replica
    green: Replica
    calls: dict[str, GrpcReplica]
    gateways: Gateways
    gateway: Gateway

    async def publish(self, weights: dict[str, int], **how: object) -> None:
        both = {BLUE: [self.blue], GREEN: [self.green]}
        await self.web.acknowledged(self.web.publish(tumour(weights, both, **how)))  # type: ignore[arg-type]

    async def infer(self, model: str = "tumour", **how: object) -> Answer:
        async with client_of(self.gateway) as client:
            return await client.infer(model, **how)  # type: ignore[arg-type]


@pytest.fixture
async def site(web: Web, replicas: Replicas, over_grpc: OverGrpc, gateways: Gateways) -> Site:
    blue, green = await replicas("blue"), await replicas("green")
    calls = {BLUE: await over_grpc(blue), GREEN: await over_grpc(green)}
    both = {BLUE: [blue], GREEN: [green]}
    gateway = await web.acknowledged_start(gateways, tumour({BLUE: 100}, both))
    return Site(web, blue, green, calls, gateways, gateway)


async def test_the_name_in_the_message_says_where_a_call_goes(site: Site) -> None:
    answer = await site.infer()
    assert answer.code is OK, answer.details
    assert answer.headers["x-release"] == BLUE
    assert answer.headers["x-model-version"] == "1"
    async with client_of(site.gateway) as client:
        for method, request in (
            ("ModelMetadata", messages.ModelMetadataRequest(name="tumour")),
            ("ModelReady", messages.ModelReadyRequest(name="tumour")),
        ):
            assert (await client.call(method, request)).code is OK
    assert site.calls[BLUE].calls == [
        ("ModelInfer", "tumour"),
        ("ModelMetadata", "tumour"),
        ("ModelReady", "tumour"),
    ]
    assert site.calls[GREEN].calls == []


async def test_weights_switch_for_grpc_as_for_http(site: Site) -> None:
    await site.publish({GREEN: 100})
    assert {(await site.infer()).headers["x-release"] for _ in range(10)} == {GREEN}
    await site.publish({BLUE: 50, GREEN: 50})
    found = {(await site.infer()).headers["x-release"] for _ in range(60)}
    assert found == {BLUE, GREEN}


async def test_a_version_may_be_named_if_it_is_live(site: Site) -> None:
    assert (await site.infer(version="1")).headers["x-release"] == BLUE
    assert (await site.infer(version="2")).code is NOT_FOUND
    await site.publish({BLUE: 100}, exposed=[GREEN])
    assert (await site.infer(version="2")).headers["x-release"] == GREEN


@pytest.mark.parametrize(
    "name",
    ["nobody", "", "tumourx", "tumour/../x", "a b", "ü", "x" * 1000],
    ids=lambda name: name[:8],
)
async def test_an_unknown_model_is_not_found(site: Site, name: str) -> None:
    answer = await site.infer(name)
    assert (answer.code, answer.details) == (NOT_FOUND, "no such model")


async def test_a_name_that_comes_late_in_the_message_is_found(site: Site) -> None:
    """Fields may come in any order."""
    late = messages.ModelInferRequest(
        id="x" * 300, parameters={"priority": messages.InferParameter(int64_param=2**40)}
    )
    late.raw_input_contents.append(b"\x0a\x06nobody" * 1000)
    name = messages.ModelInferRequest(model_name="tumour")
    async with client_of(site.gateway) as client:
        both = late.SerializeToString() + name.SerializeToString()
        assert (await client.call("ModelInfer", both)).code is OK


@pytest.mark.parametrize(
    "message",
    [b"", b"\xff" * 40, b"\x0a", b"\x0a\xff\xff\xff\xff\x0f", b"\x0b" * 20, b"\x80" * 300],
    ids=lambda message: repr(message[:6]),
)
async def test_what_is_no_message_is_refused_and_reaches_nobody(site: Site, message: bytes) -> None:
    async with client_of(site.gateway) as client:
        answer = await client.call("ModelInfer", message)
    assert answer.code in (NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)
    assert site.calls[BLUE].calls == []
    assert (await site.infer()).code is OK


async def test_a_method_that_nobody_has_is_unimplemented(site: Site) -> None:
    unknown = [
        "/inference.GRPCInferenceService/RepositoryIndex",
        "/inference.GRPCInferenceService/ModelStreamInfer",
        "/some.Other/Call",
    ]
    async with client_of(site.gateway) as client:
        for path in unknown:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await client.channel.unary_unary(path, bytes, bytes)(b"", timeout=20)
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_compressed_message_is_refused_as_the_protocol_says(site: Site) -> None:
    async with client_of(site.gateway) as client:
        request = messages.ModelInferRequest(model_name="tumour", id="x" * 1000)
        answer = await client.call("ModelInfer", request, compression=grpc.Compression.Gzip)
    assert answer.code is grpc.StatusCode.UNIMPLEMENTED
    assert "compressed" in answer.details


async def test_calls_about_the_server_need_no_model_and_no_key(site: Site) -> None:
    await site.publish({BLUE: 100}, keys=())
    async with client_of(site.gateway) as client:
        for method in ("ServerLive", "ServerReady", "ServerMetadata"):
            request = getattr(messages, f"{method}Request")()
            assert (await client.call(method, request)).code is OK
        health = health_pb2_grpc.HealthStub(client.channel)
        checked = await health.Check(health_pb2.HealthCheckRequest(), timeout=20)
        assert checked.status == health_pb2.HealthCheckResponse.SERVING
        watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=20)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
        talk = stub.ServerReflectionInfo(timeout=20)
        await talk.write(asked)
        listed = (await talk.read()).list_services_response.service
        assert "grpc.reflection.v1alpha.ServerReflection" in {each.name for each in listed}
        await talk.done_writing()


async def test_keys_count_over_grpc_as_over_http(site: Site, tmp_path: Path) -> None:
    limited = Grant("key_01J0000000000000000000BVND", requests_per_minute=2)
    used_up = Grant("key_01J0000000000000000000DVSE", exhausted=True)
    await site.publish(
        {BLUE: 100}, keys=(Grant(ALICE), limited, used_up), quota_resets_at="midnight"
    )
    unauthenticated = grpc.StatusCode.UNAUTHENTICATED
    refused = {
        "none": ({}, unauthenticated),
        "expired": (bearer(seconds=-60), unauthenticated),
        "of another environment": (bearer(environment="production"), unauthenticated),
        "forged": ({"x-api-key": forged(tmp_path / "other")}, unauthenticated),
        "only its id": ({"x-slipway-key": ALICE}, unauthenticated),
        "of another endpoint": (bearer(MALLORY), grpc.StatusCode.PERMISSION_DENIED),
        "used up": (bearer(used_up.key_id), grpc.StatusCode.RESOURCE_EXHAUSTED),
    }
    for what, (headers, code) in refused.items():
        answer = await site.infer(headers=headers)
        assert (what, answer.code) == (what, code)
        assert answer.details
        assert not answer.details.startswith("{")
        assert "x-release" not in answer.headers
    assert site.calls[BLUE].calls == []
    assert (await site.infer(headers=bearer())).code is OK
    assert site.calls[BLUE].metadata[-1]["x-slipway-key"] == ALICE
    answers = [await site.infer(headers=bearer(limited.key_id)) for _ in range(4)]
    assert answers[0].code is OK
    assert answers[-1].code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_where_one_endpoint_is_open_the_others_are_not(
    site: Site, replicas: Replicas, over_grpc: OverGrpc
) -> None:
    weather = await replicas("weather", "rel_weather")
    await over_grpc(weather)
    await site.publish({BLUE: 100}, keys=(Grant(ALICE),), also={"weather": [weather]})
    # Acknowledged is not yet usable: the first probe of a new cluster is under way.
    while (await site.infer("weather")).code is not OK:
        await asyncio.sleep(0.01)
    for headers in ({}, bearer(), bearer(MALLORY), {"authorization": "Bearer sesame"}):
        assert (await site.infer("weather", headers=headers)).code is OK
    assert (await site.infer()).code is grpc.StatusCode.UNAUTHENTICATED
    assert (await site.infer(headers=bearer(MALLORY))).code is grpc.StatusCode.PERMISSION_DENIED
    assert (await site.infer(headers=bearer())).code is OK


async def test_a_message_may_be_as_large_as_its_endpoint_takes(
    site: Site, replicas: Replicas, over_grpc: OverGrpc
) -> None:
    weather = await replicas("weather", "rel_weather")
    await over_grpc(weather)
    # The other endpoint takes more: what is taken in whole is not yet taken.
    await site.publish({BLUE: 100}, max_body_bytes=50_000, also={"weather": [weather]})
    while (await site.infer()).code is not OK:
        await asyncio.sleep(0.01)
    site.calls[BLUE].calls.clear()
    async with client_of(site.gateway) as client:
        for size, code in (
            (40_000, OK),
            (60_000, grpc.StatusCode.RESOURCE_EXHAUSTED),
            (30_000_000, grpc.StatusCode.RESOURCE_EXHAUSTED),
        ):
            request = messages.ModelInferRequest(model_name="tumour")
            request.raw_input_contents.append(b"x" * size)
            answer = await client.call("ModelInfer", request)
            assert (size, answer.code) == (size, code)
            assert code is OK or "larger" in answer.details
    assert len(site.calls[BLUE].calls) == 1


async def test_a_replica_that_drains_gets_no_more_calls_though_its_grpc_port_answers(
    web: Web, replicas: Replicas, over_grpc: OverGrpc, gateways: Gateways
) -> None:
    stays, drains = await replicas("stays"), await replicas("drains")
    await over_grpc(stays)
    leaving = await over_grpc(drains)
    gateway = await web.acknowledged_start(gateways, tumour({BLUE: 100}, {BLUE: [stays, drains]}))
    async with client_of(gateway) as client:
        while not leaving.calls:
            assert (await client.infer("tumour")).code is OK
        drains.ready = False
        probed = drains.probes
        # Both of its clusters have asked, and one more for an answer that was under way.
        await until(lambda: drains.probes >= probed + 4, "the probes")
        before = len(leaving.calls)
        assert {(await client.infer("tumour")).code for _ in range(20)} == {OK}
    assert len(leaving.calls) == before


async def test_a_dead_grpc_port_costs_no_call(
    web: Web, replicas: Replicas, over_grpc: OverGrpc, gateways: Gateways
) -> None:
    alive, dies = await replicas("alive"), await replicas("dies")
    await over_grpc(alive)
    dying = await over_grpc(dies)
    gateway = await web.acknowledged_start(gateways, tumour({BLUE: 100}, {BLUE: [alive, dies]}))
    await dying.kill()
    async with client_of(gateway) as client:
        assert {(await client.infer("tumour")).code for _ in range(20)} == {OK}


async def test_a_deadline_of_the_client_is_kept(site: Site) -> None:
    site.blue.holds = asyncio.Event()
    answer = await site.infer(timeout=0.3)
    assert answer.code is grpc.StatusCode.DEADLINE_EXCEEDED
    site.blue.holds.set()


async def test_mirrored_calls_reach_the_other_release_without_the_key(site: Site) -> None:
    await site.publish({BLUE: 100, GREEN: 0}, keys=(Grant(ALICE),), mirror={GREEN: 100})
    assert (await site.infer(headers=bearer())).headers["x-release"] == BLUE
    mirrored = site.calls[GREEN]
    await until(lambda: mirrored.metadata, "the mirrored call")
    assert "x-slipway-key" not in mirrored.metadata[0]
    assert site.calls[BLUE].metadata[0]["x-slipway-key"] == ALICE


async def test_without_a_live_release_a_call_is_unavailable(site: Site) -> None:
    await site.publish({})
    answer = await site.infer()
    assert answer.code is grpc.StatusCode.UNAVAILABLE
    assert "no live release" in answer.details


async def test_a_frame_that_lies_about_itself_harms_nobody(site: Site) -> None:
    """Bytes as a client of its own making sends them; over HTTP/1.1, which says the same."""
    message = messages.ModelInferRequest(model_name="tumour").SerializeToString()
    frames = [
        b"",
        b"\x00",
        struct.pack(">BI", 0, 2**32 - 1) + message,
        struct.pack(">BI", 1, len(message)) + gzip.compress(message),
        struct.pack(">BI", 7, len(message)) + message,
    ]
    async with site.gateway.client() as client:
        for frame in frames:
            answer = await client.post(
                "/inference.GRPCInferenceService/ModelInfer",
                content=frame,
                headers={"content-type": "application/grpc", "te": "trailers"},
            )
            assert answer.headers["grpc-status"] in ("3", "5", "12")
            if frame[:1] == b"\x01":
                assert answer.headers["grpc-accept-encoding"] == "identity"
    assert (await site.infer()).code is OK
