"""What a client of the gateway sees, with the real Envoy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from deployments.adapters import gateway_smoke
from tests.contract.gateway.harness import Gateway, Replica, Web, free_port, until
from tests.contract.gateway.load import Load
from tests.contract.gateway.routes import BLUE, GREEN, SECRET, tumour

pytestmark = pytest.mark.needs("envoy")

Replicas = Callable[[str], Awaitable[Replica]]
Gateways = Callable[..., Awaitable[Gateway]]

INFER = "/v2/models/tumour/infer"
SAMPLE = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1.0]}]}


async def test_switching_weights_under_load_fails_no_request(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue, green = await replicas("blue"), await replicas("green")
    web.publish(tumour({BLUE: 100}, {BLUE: [blue]}))
    gateway = await gateways(web)
    async with Load(gateway, INFER) as load:
        for _ in range(5):
            # The order of a rollout: cluster first, then weight, then the old cluster goes.
            both = {BLUE: [blue], GREEN: [green]}
            await web.acknowledged(web.publish(tumour({BLUE: 100}, both)))
            await until_reached(gateway, GREEN)
            await web.acknowledged(web.publish(tumour({GREEN: 100}, both)))
            await web.acknowledged(web.publish(tumour({GREEN: 100}, {GREEN: [green]})))
            await web.acknowledged(web.publish(tumour({GREEN: 100}, both)))
            await until_reached(gateway, BLUE)
            await web.acknowledged(web.publish(tumour({BLUE: 100}, both)))
    assert load.problems == []
    assert sum(load.answered.values()) == load.attempted > 100
    assert set(load.answered) == {BLUE, GREEN}


async def test_an_acknowledged_weight_is_what_the_next_request_meets(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue, green = await replicas("blue"), await replicas("green")
    both = {BLUE: [blue], GREEN: [green]}
    web.publish(tumour({BLUE: 100}, both))
    gateway = await gateways(web)
    await until_reached(gateway, GREEN)
    async with gateway.client() as client:
        await web.acknowledged(web.publish(tumour({GREEN: 100}, both)))
        answered = [(await client.post(INFER, json={})).headers["x-release"] for _ in range(20)]
    assert set(answered) == {GREEN}


async def test_changing_the_replicas_of_a_serving_release_fails_no_request(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    first, second = await replicas("first"), await replicas("second")
    web.publish(tumour({BLUE: 100}, {BLUE: [first]}))
    gateway = await gateways(web)
    async with Load(gateway, INFER) as load:
        await web.acknowledged(web.publish(tumour({BLUE: 100}, {BLUE: [first, second]})))
        await until(lambda: second.requests, "the second replica gets requests")
        await web.acknowledged(web.publish(tumour({BLUE: 100}, {BLUE: [second]})))
        before = len(second.requests)
        await until(lambda: len(second.requests) > before + 50, "the second replica serves alone")
    assert load.problems == []


async def test_a_dead_replica_costs_no_request_because_connecting_is_tried_elsewhere(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    alive, dies = await replicas("alive"), await replicas("dies")
    web.publish(tumour({BLUE: 100}, {BLUE: [alive, dies]}))
    gateway = await gateways(web)
    async with gateway.client() as client:
        await dies.served.kill()
        answers = [await client.post(INFER, json={}) for _ in range(30)]
    assert {answer.status_code for answer in answers} == {200}


async def test_a_request_that_a_replica_has_received_is_not_repeated(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    replica = await replicas("breaks")
    replica.cuts = True
    web.publish(tumour({BLUE: 100}, {BLUE: [replica]}))
    gateway = await gateways(web)
    async with gateway.client() as client:
        headers = {"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "5"}
        answer = await client.post(INFER, json={}, headers=headers)
    assert answer.status_code == 503
    assert "reset" in answer.json()["error"]
    assert replica.paths == [INFER]


async def test_the_gateway_says_which_release_and_version_answered(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue = await replicas("blue")
    web.publish(tumour({BLUE: 100}, {BLUE: [blue]}))
    gateway = await gateways(web)
    async with gateway.client() as client:
        for path in (INFER, "/v2/models/tumour", "/v2/models/tumour/versions/1/ready"):
            answer = await client.get(path)
            assert answer.headers.get_list("x-release") == [BLUE]
            assert answer.headers.get_list("x-model-version") == ["1"]
    assert blue.paths == [INFER, "/v2/models/tumour", "/v2/models/tumour/versions/1/ready"]


async def test_only_live_versions_answer(web: Web, replicas: Replicas, gateways: Gateways) -> None:
    blue, green = await replicas("blue"), await replicas("green")
    both = {BLUE: [blue], GREEN: [green]}
    web.publish(tumour({BLUE: 100}, both))
    gateway = await gateways(web)
    await until_reached(gateway, GREEN)
    async with gateway.client() as client:
        hidden = await client.post("/v2/models/tumour/versions/2/infer", json={})
        await web.acknowledged(web.publish(tumour({BLUE: 100}, both, exposed=[GREEN])))
        shown = await client.post("/v2/models/tumour/versions/2/infer", json={})
    assert (hidden.status_code, shown.status_code) == (404, 200)
    assert shown.headers["x-release"] == GREEN


async def test_everything_else_is_an_error_in_json(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue = await replicas("blue")
    dead = Replica("dead")
    dead.served.port = free_port()
    web.publish(tumour({BLUE: 100}, {BLUE: [blue]}, also={"empty": [], "broken": [dead]}))
    gateway = await gateways(web)
    expected = {
        "/": 404,
        "/v2/models": 404,
        "/v2/models/nobody/infer": 404,
        "/v2/models/tumourx/infer": 404,
        "/telemetry/v1/report": 404,
        "/v2/models/empty/infer": 503,
        "/v2/models/broken/infer": 503,
    }
    async with gateway.client() as client:
        for path, status in expected.items():
            answer = await client.get(path)
            assert (path, answer.status_code) == (path, status)
            assert answer.headers["content-type"] == "application/json"
            assert list(answer.json()) == ["error"]
        for path in ("/v2", "/v2/health/live", "/v2/health/ready"):
            answer = await client.get(path)
            assert answer.status_code == 200
            assert answer.json()
    assert blue.requests == []


async def test_a_smoke_inference_needs_the_secret_and_never_shows_it_upstream(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue, green = await replicas("blue"), await replicas("green")
    web.publish(tumour({BLUE: 100}, {BLUE: [blue], GREEN: [green]}))
    gateway = await gateways(web)
    await until_reached(gateway, GREEN)
    green.requests.clear()
    async with gateway.client() as client:
        for attempt in ({"x-slipway-smoke": "guess"}, {"x-slipway-smoke": ""}, {}):
            headers = {**attempt, "x-slipway-release": GREEN}
            answer = await client.post(INFER, json={}, headers=headers)
            assert answer.headers["x-release"] == BLUE
    assert green.requests == []
    internal = {"x-slipway-smoke", "x-slipway-release", "x-envoy-internal"}
    assert all(internal.isdisjoint(request) for request in blue.requests)

    reached = await reach(gateway, GREEN)
    assert reached.ok, reached.evidence
    (request,) = green.requests
    assert request["x-slipway-smoke"] == "1"
    assert "x-slipway-release" not in request
    assert SECRET not in str(request)


async def test_a_smoke_inference_tells_what_went_wrong(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue = await replicas("blue")
    web.publish(tumour({BLUE: 100}, {BLUE: [blue]}))
    gateway = await gateways(web)
    elsewhere = await reach(gateway, GREEN)
    assert not elsewhere.ok
    assert elsewhere.evidence == f"answered by {BLUE}, not by {GREEN}"
    await gateway.stop()
    silent = await reach(gateway, BLUE)
    assert (silent.ok, silent.status) == (False, None)
    assert "ConnectError" in silent.evidence


async def reach(gateway: Gateway, release: str) -> gateway_smoke.SmokeAnswer:
    return await asyncio.to_thread(
        gateway_smoke.reach, f"127.0.0.1:{gateway.port}", "tumour", release, SECRET, SAMPLE
    )


async def until_reached(gateway: Gateway, release: str) -> None:
    for _ in range(100):
        if (await reach(gateway, release)).ok:
            return
    raise AssertionError(f"{release} is not reached")
