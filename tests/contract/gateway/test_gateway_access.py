"""Who gets past a gateway, with the real Envoy and keys as the control plane makes them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.domain.routing import (
    EndpointRoute,
    EnvironmentRoutes,
    Grant,
    ReleaseCluster,
    Share,
)
from tests.contract.gateway.harness import ENVIRONMENT, Gateway, Replica, Web, until
from tests.contract.gateway.keys import ALICE, MALLORY, bearer, forged, key
from tests.contract.gateway.routes import BLUE, SECRET, tumour

pytestmark = pytest.mark.needs("envoy")

Replicas = Callable[..., Awaitable[Replica]]
Gateways = Callable[..., Awaitable[Gateway]]

INFER = "/v2/models/tumour/infer"
ADMITTED = (Grant(ALICE),)


@pytest.fixture
async def blue(replicas: Replicas) -> Replica:
    return await replicas("blue")


@pytest.fixture
async def closed(web: Web, blue: Replica, gateways: Gateways) -> Gateway:
    """The endpoint `tumour`, which admits Alice, and `weather`, which admits Mallory."""
    (cluster,) = tumour({BLUE: 100}, {BLUE: [blue]}).endpoints[0].clusters
    weather = EndpointRoute(
        "weather",
        (Share("rel_weather", 1, 100),),
        clusters=(ReleaseCluster("rel_weather", cluster.addresses, 1),),
        keys=(Grant(MALLORY),),
    )
    routes = tumour({BLUE: 100}, {BLUE: [blue]}, keys=ADMITTED)
    both = (*routes.endpoints, weather)
    return await web.acknowledged_start(gateways, EnvironmentRoutes(ENVIRONMENT, SECRET, both))


async def post(
    gateway: Gateway, headers: Mapping[str, str] | None = None, path: str = INFER
) -> httpx.Response:
    async with gateway.client() as client:
        return await client.post(path, json={"inputs": []}, headers=dict(headers or {}))


@pytest.mark.parametrize("how", ["authorization", "x-api-key"])
async def test_a_key_opens_its_endpoint_in_either_header(
    closed: Gateway, blue: Replica, how: str
) -> None:
    text = key()
    answer = await post(closed, {how: f"Bearer {text}" if how == "authorization" else text})
    assert answer.status_code == 200, answer.text
    (seen,) = blue.requests
    assert seen["x-slipway-key"] == ALICE


def wrong_keys(folder: Path) -> dict[str, dict[str, str]]:
    good = key()
    altered = good[:-2] + ("A" if good[-2] != "A" else "B") + good[-1]
    return {
        "none": {},
        "empty": {"authorization": ""},
        "not a token": {"authorization": "Bearer sesame"},
        "another scheme": {"authorization": "Basic YWxpY2U6c2VzYW1l"},
        "expired": bearer(seconds=-60),
        "of another environment": bearer(environment="production"),
        "of another Slipway": {"authorization": f"Bearer {forged(folder)}"},
        "altered": {"authorization": f"Bearer {altered}"},
        "without a signature": {"authorization": f"Bearer {good.rpartition('.')[0]}."},
        "only its id": {"x-slipway-key": ALICE},
    }


async def test_whoever_shows_no_valid_key_is_refused_and_no_replica_hears_of_it(
    closed: Gateway, blue: Replica, tmp_path: Path
) -> None:
    for what, headers in wrong_keys(tmp_path / "other").items():
        answer = await post(closed, headers)
        assert (what, answer.status_code) == (what, 401)
        assert "valid key" in answer.json()["error"]
        assert "x-release" not in answer.headers
    assert blue.requests == []


async def test_a_key_of_another_endpoint_is_refused_here(closed: Gateway, blue: Replica) -> None:
    answer = await post(closed, bearer(MALLORY))
    assert answer.status_code == 403
    assert list(answer.json()) == ["error"]
    assert "x-release" not in answer.headers
    assert blue.requests == []


async def test_two_different_keys_at_once_open_nothing(closed: Gateway, blue: Replica) -> None:
    answer = await post(closed, {**bearer(MALLORY), "x-api-key": key(ALICE)})
    assert answer.status_code in (401, 403)
    assert blue.requests == []


@pytest.mark.parametrize(
    "path", ["", "/ready", "/infer", "/versions/1", "/versions/1/infer", "/versions/9", "/else"]
)
async def test_everything_below_an_endpoint_needs_its_key(
    closed: Gateway, blue: Replica, path: str
) -> None:
    async with closed.client() as client:
        for method in ("GET", "POST", "OPTIONS", "HEAD"):
            answer = await client.request(method, f"/v2/models/tumour{path}")
            assert answer.status_code == 401
    assert blue.paths == []


async def test_what_the_gateway_says_about_itself_needs_none(closed: Gateway) -> None:
    async with closed.client() as client:
        for path in ("/v2", "/v2/health/live", "/v2/health/ready"):
            assert (await client.get(path)).status_code == 200


async def test_a_revoked_key_opens_nothing_once_the_gateway_knows(
    web: Web, closed: Gateway, blue: Replica
) -> None:
    async with closed.client(headers=bearer()) as client:
        assert (await client.post(INFER, json={})).status_code == 200
        revoked = web.publish(tumour({BLUE: 100}, {BLUE: [blue]}, keys=()))
        await web.acknowledged(revoked)
        # On the same connection, too.
        answer = await client.post(INFER, json={})
    assert answer.status_code == 403
    assert "revoked" in answer.json()["error"]


async def test_a_key_that_ends_while_it_is_used_opens_nothing_from_then_on(closed: Gateway) -> None:
    """Verified once, it is remembered; its end is, too."""
    async with closed.client(headers=bearer(seconds=1)) as client:
        assert (await client.post(INFER, json={})).status_code == 200
        ended: list[httpx.Response] = []

        async def ask() -> None:
            answer = await client.post(INFER, json={})
            ended.extend([answer] if answer.status_code != 200 else [])

        began = time.monotonic()
        while not ended and time.monotonic() - began < 60:
            await ask()
            await asyncio.sleep(0.02)
    assert ended[0].status_code == 401
    assert "expired" in ended[0].json()["error"]


async def test_a_key_that_asks_too_often_waits_and_no_other_key_does(
    web: Web, blue: Replica, gateways: Gateways
) -> None:
    grants = (Grant(ALICE), Grant(MALLORY, requests_per_minute=3))
    gateway = await web.acknowledged_start(
        gateways, tumour({BLUE: 100}, {BLUE: [blue]}, keys=grants)
    )
    answers = [await post(gateway, bearer(MALLORY)) for _ in range(5)]
    assert [each.status_code for each in answers[:3]] == [200, 200, 200]
    refused = answers[-1]
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert list(refused.json()) == ["error"]
    assert (await post(gateway, bearer(ALICE))).status_code == 200


async def test_a_key_that_has_used_up_its_day_waits_for_the_next_one(
    web: Web, blue: Replica, gateways: Gateways
) -> None:
    midnight = "Sun, 22 Nov 2026 00:00:00 GMT"
    grants = (Grant(ALICE, exhausted=True), Grant(MALLORY))
    routes = tumour({BLUE: 100}, {BLUE: [blue]}, keys=grants, quota_resets_at=midnight)
    gateway = await web.acknowledged_start(gateways, routes)
    for _ in range(3):
        answer = await post(gateway, bearer())
        assert (answer.status_code, answer.headers["retry-after"]) == (429, midnight)
    assert (await post(gateway, bearer(MALLORY))).status_code == 200
    assert len(blue.requests) == 1
    await web.acknowledged(web.publish(tumour({BLUE: 100}, {BLUE: [blue]}, keys=ADMITTED)))
    assert (await post(gateway, bearer())).status_code == 200


async def test_an_open_endpoint_answers_everybody_and_no_replica_sees_a_key(
    web: Web, blue: Replica, gateways: Gateways
) -> None:
    gateway = await web.acknowledged_start(gateways, tumour({BLUE: 100}, {BLUE: [blue]}))
    for headers in ({}, bearer(), {"x-api-key": key()}, {"authorization": "Bearer sesame"}):
        assert (await post(gateway, headers)).status_code == 200
    assert len(blue.requests) == 4
    for seen in blue.requests:
        assert seen.keys().isdisjoint({"authorization", "x-api-key", "x-slipway-key"})


async def test_a_key_is_in_no_log_and_reaches_no_replica(
    web: Web, blue: Replica, gateways: Gateways
) -> None:
    routes = tumour({BLUE: 100}, {BLUE: [blue]}, keys=ADMITTED)
    generations = web.publish(routes)
    gateway = await gateways(web, options=("--access-log",))
    await web.acknowledged(generations)
    good, bad = key(), key(MALLORY)
    for text in (good, bad):
        await post(gateway, {"authorization": f"Bearer {text}"})
        await post(gateway, {"x-api-key": text})
    await until(lambda: len(gateway.events("request")) >= 4, "the requests are logged")
    assert [each["key"] for each in gateway.events("request")][:2] == [ALICE, ALICE]
    for text in (good, bad):
        for path in gateway.state.rglob("*"):
            if path.is_file():
                assert text not in path.read_text(errors="replace")
        assert text not in str(blue.requests)


async def test_keys_signed_with_a_new_key_of_the_control_plane_are_known_without_a_restart(
    web: Web, closed: Gateway, tmp_path: Path
) -> None:
    from django.test import override_settings

    from core.keys import KeyStore
    from tests.contract.gateway.keys import jwks

    folder = tmp_path / "next"
    envoy = closed.run["envoy_pid"]
    with override_settings(KEYS=KeyStore(folder)):
        web.jwks = {"keys": [*web.jwks["keys"], *jwks()["keys"]]}
    new = {"authorization": f"Bearer {forged(folder)}"}
    assert (await post(closed, new)).status_code == 401
    assert closed.process is not None
    closed.process.send_signal(1)  # SIGHUP: ask web now
    found: list[Any] = []
    for _ in range(500):
        found.append((await post(closed, new)).status_code)
        if found[-1] == 200:
            break
    assert found[-1] == 200
    assert (await post(closed, bearer())).status_code == 200
    assert closed.run["envoy_pid"] == envoy
