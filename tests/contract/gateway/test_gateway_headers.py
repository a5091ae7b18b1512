"""What a client says about itself is not believed, and what a replica says is not hidden."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from deployments.domain.routing import Grant
from tests.contract.gateway.grpc_replica import GrpcReplica, client_of
from tests.contract.gateway.harness import Gateway, Replica, Web
from tests.contract.gateway.keys import ALICE, MALLORY, bearer
from tests.contract.gateway.routes import BLUE, SECRET, tumour

pytestmark = pytest.mark.needs("envoy")

INFER = "/v2/models/tumour/infer"

OURS = (
    *("x-slipway-smoke", "x-slipway-key", "x-slipway-model", "x-slipway-version"),
    *("x-slipway-release", "x-slipway-anything", "x-slipway-"),
    *("x-release", "x-model-version", "x-prediction-id"),
)
NOT_FOR_REPLICAS = (
    *("slipway-smoke", "slipway-release", "cookie", "x-forwarded-for"),
    *("x-envoy-upstream-rq-timeout-ms", "x-envoy-retry-on", "x-forwarded-proto"),
)
SPOOFED = dict.fromkeys((*OURS, *NOT_FOR_REPLICAS), MALLORY)


@pytest.fixture
async def blue(replicas: Callable[..., Awaitable[Replica]]) -> Replica:
    return await replicas("blue")


@pytest.fixture
async def calls(
    blue: Replica, over_grpc: Callable[[Replica], Awaitable[GrpcReplica]]
) -> GrpcReplica:
    return await over_grpc(blue)


@pytest.fixture
async def gateway(
    web: Web, blue: Replica, calls: GrpcReplica, gateways: Callable[..., Awaitable[Gateway]]
) -> Gateway:
    routes = tumour({BLUE: 100}, {BLUE: [blue]}, keys=(Grant(ALICE),))
    return await web.acknowledged_start(gateways, routes)


@pytest.mark.parametrize("name", [*OURS, *NOT_FOR_REPLICAS])
async def test_a_header_that_is_ours_is_not_taken_from_a_client(
    gateway: Gateway, blue: Replica, calls: GrpcReplica, name: str
) -> None:
    async with gateway.client(headers=bearer()) as client:
        for spelling in (name, name.upper()):
            answer = await client.post(INFER, json={}, headers={spelling: MALLORY})
            assert answer.status_code == 200
    async with client_of(gateway, bearer()) as caller:
        await caller.infer("tumour", headers={name: MALLORY})
    seen = [*blue.requests, *calls.metadata]
    assert len(seen) == 3
    for request in seen:
        # What we say is ours, and there is only one of it.
        assert request["x-slipway-key"] == ALICE
        assert MALLORY not in str(request)
        assert name == "x-slipway-key" or name not in request


async def test_all_of_them_at_once_change_nothing(
    gateway: Gateway, blue: Replica, calls: GrpcReplica
) -> None:
    headers = [*SPOOFED.items(), *SPOOFED.items(), *bearer().items()]
    async with gateway.client() as client:
        answer = await client.post(INFER, json={}, headers=headers)
    assert (answer.status_code, answer.headers["x-release"]) == (200, BLUE)
    (request,) = blue.requests
    assert {name for name in request if name.startswith("x-slipway")} == {"x-slipway-key"}
    async with client_of(gateway, {**SPOOFED, **bearer()}) as caller:
        assert (await caller.infer("tumour")).headers["x-release"] == BLUE
    (metadata,) = calls.metadata
    assert {name for name in metadata if name.startswith("x-slipway")} == {"x-slipway-key"}


async def test_the_name_of_another_model_in_a_header_leads_nowhere(
    gateway: Gateway, calls: GrpcReplica
) -> None:
    async with client_of(gateway, bearer()) as caller:
        answer = await caller.infer("nobody", headers={"x-slipway-model": "tumour"})
    assert answer.details == "no such model"
    assert calls.calls == []


async def test_an_underscore_is_no_way_round(gateway: Gateway, blue: Replica) -> None:
    async with gateway.client(headers=bearer()) as client:
        for name in ("x_slipway_key", "X_Slipway_Smoke", "x-slipway_key"):
            await client.post(INFER, json={}, headers={name: MALLORY})
    assert MALLORY not in str(blue.requests)


async def test_answers_say_who_answered_whatever_the_replica_says(gateway: Gateway) -> None:
    """The fake replica says `x-release: forged`."""
    async with gateway.client(headers=bearer()) as client:
        answer = await client.post(INFER, json={})
    assert answer.headers.get_list("x-release") == [BLUE]
    assert answer.headers.get_list("x-model-version") == ["1"]


async def test_an_inference_is_a_smoke_inference_only_with_the_secret(
    gateway: Gateway, blue: Replica
) -> None:
    async with gateway.client() as client:
        for secret, status in (("guess", 401), ("", 401), (SECRET, 200)):
            headers = {"slipway-smoke": secret, "slipway-release": BLUE, "x-slipway-key": ALICE}
            answer = await client.post(INFER, json={}, headers=headers)
            assert (secret, answer.status_code) == (secret, status)
    (request,) = blue.requests
    assert request["x-slipway-smoke"] == "1"
    # Nobody's request, so nobody's quota.
    assert "x-slipway-key" not in request
    assert SECRET not in str(request)
