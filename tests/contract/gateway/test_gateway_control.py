"""What the control plane and a gateway tell each other, with the real Envoy and launcher."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from deployments.domain.acknowledgement import MAX_SERVED
from deployments.domain.routing import CLUSTER_TYPE, ROUTE_TYPE, derive
from tests.contract.gateway.harness import (
    ENVIRONMENT,
    GATEWAY,
    Gateway,
    Replica,
    Web,
    until,
)
from tests.contract.gateway.load import Load
from tests.contract.gateway.routes import BLUE, GREEN, tumour

pytestmark = pytest.mark.needs("envoy")

Replicas = Callable[[str], Awaitable[Replica]]
Gateways = Callable[..., Awaitable[Gateway]]

INFER = "/v2/models/tumour/infer"


async def answered_by(gateway: Gateway) -> str:
    async with gateway.client() as client:
        answer = await client.post(INFER, json={})
    return str(answer.headers.get("x-release", f"{answer.status_code} {answer.text}"))


async def test_what_a_gateway_runs_is_known_and_each_change_of_it_is_news(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue = await replicas("blue")
    generations = web.publish(tumour({BLUE: 100}, {BLUE: [blue]}))
    gateway = await gateways(web)
    await web.acknowledged(generations)
    await until(lambda: web.news == [ENVIRONMENT] * 2, "one piece of news for each type")
    await web.acknowledged(web.publish(tumour({}, {BLUE: [blue]})))
    assert (await answered_by(gateway)).startswith("503")


async def test_a_poll_is_held_and_does_not_come_back_at_once(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    web.hold = 1.0
    await web.kill()
    await web.start()
    blue = await replicas("blue")
    generations = web.publish(tumour({BLUE: 100}, {BLUE: [blue]}))
    gateway = await gateways(web)
    await web.acknowledged(generations)
    before = web.store.polls[GATEWAY, CLUSTER_TYPE]
    await until(
        lambda: web.store.polls[GATEWAY, CLUSTER_TYPE] > before + 2, "the next poll after a hold"
    )
    stats = (await gateway.admin("/stats?filter=cluster_manager.cds.update")).text
    # "No change" was neither an update nor a failure for Envoy.
    assert "cds.update_success: 1\n" in stats
    assert "cds.update_failure: 0\n" in stats
    assert "cds.update_rejected: 0\n" in stats


async def test_what_envoy_rejects_is_known_with_its_reason_and_serving_goes_on(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue = await replicas("blue")
    routes = tumour({BLUE: 100}, {BLUE: [blue]})
    good = web.publish(routes)
    gateway = await gateways(web)
    await web.acknowledged(good)

    broken = derive(routes)[CLUSTER_TYPE]
    broken[0] = {**broken[0], "connect_timeout": "-1s"}
    rejected = web.store.put(ENVIRONMENT, CLUSTER_TYPE, broken)
    await until(
        lambda: web.store.state(GATEWAY, CLUSTER_TYPE).rejected == rejected, "the rejection"
    )
    await until(lambda: (GATEWAY, CLUSTER_TYPE) in web.store.reasons, "its reason")
    assert "expected positive duration" in web.store.reasons[GATEWAY, CLUSTER_TYPE].lower()
    assert await answered_by(gateway) == BLUE

    # Rejected, so held: it does not ask again sixty times a second.
    polls = web.store.polls[GATEWAY, CLUSTER_TYPE]
    # The other type goes on; two acknowledged changes are enough time for many polls.
    await web.acknowledged(
        {ROUTE_TYPE: web.store.put(ENVIRONMENT, ROUTE_TYPE, derive(tumour({}, {}))[ROUTE_TYPE])}
    )
    await web.acknowledged(
        {ROUTE_TYPE: web.store.put(ENVIRONMENT, ROUTE_TYPE, derive(routes)[ROUTE_TYPE])}
    )
    assert web.store.polls[GATEWAY, CLUSTER_TYPE] == polls

    await web.acknowledged(web.publish(routes))
    assert web.store.state(GATEWAY, CLUSTER_TYPE).acked == rejected + 1


async def test_a_rejected_route_is_known_with_its_reason(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue = await replicas("blue")
    routes = tumour({BLUE: 100}, {BLUE: [blue]})
    good = web.publish(routes)
    gateway = await gateways(web)
    await web.acknowledged(good)
    broken = derive(routes)[ROUTE_TYPE][0]
    unreadable = {"match": {"safe_regex": {"regex": "("}}, "direct_response": {"status": 404}}
    broken["virtual_hosts"] = [{"name": "models", "domains": ["*"], "routes": [unreadable]}]
    web.store.put(ENVIRONMENT, ROUTE_TYPE, [broken])
    await until(lambda: (GATEWAY, ROUTE_TYPE) in web.store.reasons, "the reason")
    assert "missing )" in web.store.reasons[GATEWAY, ROUTE_TYPE]
    assert await answered_by(gateway) == BLUE


async def test_a_lost_answer_is_not_a_rejection(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue = await replicas("blue")
    await web.acknowledged_start(gateways, tumour({BLUE: 100}, {BLUE: [blue]}))
    web.lose_answers(MAX_SERVED - 1)
    generations = web.publish(tumour({}, {BLUE: [blue]}))
    await web.acknowledged(generations)
    assert web.lost == MAX_SERVED - 1
    assert web.store.state(GATEWAY, ROUTE_TYPE).rejected is None


async def test_serving_goes_on_while_web_is_down_and_web_is_found_again(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue, green = await replicas("blue"), await replicas("green")
    both = {BLUE: [blue], GREEN: [green]}
    gateway = await web.acknowledged_start(gateways, tumour({BLUE: 100}, both))
    async with Load(gateway, INFER, connections=2) as load:
        await web.kill()
        count = load.attempted
        await until(lambda: load.attempted > count + 300, "requests without web")
        await web.start()
        await web.acknowledged(web.publish(tumour({GREEN: 100}, both)), within=5)
        await until(lambda: GREEN in load.answered, "the new split serves")
    assert load.problems == []


async def test_a_gateway_that_starts_while_web_is_down_serves_what_it_had_acknowledged(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue, green = await replicas("blue"), await replicas("green")
    both = {BLUE: [blue], GREEN: [green]}
    gateway = await web.acknowledged_start(gateways, tumour({BLUE: 100}, both))
    last = web.publish(tumour({GREEN: 100}, both))
    await web.acknowledged(last)
    await gateway.saved(last)

    await web.kill()
    await gateway.kill()
    await gateway.start()
    assert await answered_by(gateway) == GREEN

    web.store.states.clear()
    await web.start()
    # It names the generation that it had saved: nothing is served anew.
    await web.acknowledged(last, within=5)
    assert {state.served for state in web.store.states.values()} == {None}
    await web.acknowledged(web.publish(tumour({BLUE: 100}, both)), within=5)
    assert await answered_by(gateway) == BLUE


async def test_a_gateway_without_web_and_without_a_snapshot_waits_for_web(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue = await replicas("blue")
    await web.kill()
    gateway = await gateways(web, serving=False)
    assert not gateway._serving()
    await web.start()
    await web.acknowledged(web.publish(tumour({BLUE: 100}, {BLUE: [blue]})))
    await until(gateway._serving, "the gateway serves")
    assert await answered_by(gateway) == BLUE


async def test_envoy_is_back_within_a_second_of_its_end(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue = await replicas("blue")
    gateway = await web.acknowledged_start(gateways, tumour({BLUE: 100}, {BLUE: [blue]}))
    ended = gateway.run["envoy_pid"]
    os.kill(ended, signal.SIGKILL)
    await until(lambda: not psutil.pid_exists(ended), "Envoy ended")
    took = await until(gateway._serving, "Envoy is back")
    assert gateway.run["envoy_pid"] != ended
    assert took < 3  # a bound for a loaded machine; 0.2 s were measured
    assert await answered_by(gateway) == BLUE


async def test_envoy_never_outlives_its_launcher(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue = await replicas("blue")
    gateway = await web.acknowledged_start(gateways, tumour({BLUE: 100}, {BLUE: [blue]}))
    pid = gateway.run["envoy_pid"]
    await gateway.kill()
    await until(lambda: not psutil.pid_exists(pid), "Envoy ended")


async def test_stopping_lets_requests_in_flight_end(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue = await replicas("blue")
    blue.holds = asyncio.Event()
    gateway = await web.acknowledged_start(gateways, tumour({BLUE: 100}, {BLUE: [blue]}))
    asked = asyncio.create_task(answered_by(gateway))
    await until(lambda: blue.requests, "the replica has the request")
    stopping = asyncio.create_task(gateway.stop())
    await until(lambda: gateway.events("draining"), "the drain has begun")
    blue.holds.set()
    assert await asked == BLUE
    await stopping
    assert not (gateway.state / "run.json").exists()


@pytest.mark.parametrize(
    "who", [{"token": "another"}, {"node_id": "gtw_01J0000000000000000000NN"}], ids=str
)
async def test_a_gateway_with_a_wrong_token_or_an_unknown_id_gets_nothing(
    web: Web, replicas: Replicas, gateways: Gateways, who: dict[str, str]
) -> None:
    blue = await replicas("blue")
    web.publish(tumour({BLUE: 100}, {BLUE: [blue]}))
    gateway = await gateways(web, serving=False, **who)
    await until(lambda: web.refused >= 2, "the refusals")
    assert web.store.states == {}
    assert not (gateway.state / "snapshot.json").exists()


async def test_a_removed_gateway_gets_no_changes_and_serves_what_it_has(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue = await replicas("blue")
    web.hold = 0.3
    await web.kill()
    await web.start()
    gateway = await web.acknowledged_start(gateways, tumour({BLUE: 100}, {BLUE: [blue]}))
    web.store.remove(GATEWAY)
    await until(lambda: web.refused >= 2, "the refusals")
    web.publish(tumour({}, {}))
    assert await answered_by(gateway) == BLUE


async def test_a_gateway_sees_its_own_environment_only(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue, green = await replicas("blue"), await replicas("green")
    other = "gtw_01J00000000000000000000002"
    web.store.register(other, "production", "another token")
    staging = web.publish(tumour({BLUE: 100}, {BLUE: [blue]}))
    production = web.publish(tumour({GREEN: 100}, {GREEN: [green]}), "production")
    here = await gateways(web)
    there = await gateways(web, "production", node_id=other, token="another token")
    await web.acknowledged(staging)
    await web.acknowledged(production, other)
    assert (await answered_by(here), await answered_by(there)) == (BLUE, GREEN)
    assert BLUE not in (await there.admin("/config_dump")).text


async def test_secrets_lie_in_private_files_and_so_does_the_admins_socket(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue = await replicas("blue")
    routes = tumour({BLUE: 100}, {BLUE: [blue]})
    gateway = await web.acknowledged_start(gateways, routes)
    await until(lambda: (gateway.state / "snapshot.json").exists(), "the snapshot is saved")
    for name in ("bootstrap.json", "snapshot.json", "run.json", "admin.sock"):
        assert stat.S_IMODE((gateway.state / name).stat().st_mode) == 0o600
    assert (await gateway.admin("/ready")).status_code == 200
    assert "a-token-of-the-tests" not in gateway.log()


async def test_a_taken_port_is_told_in_one_line(
    web: Web, replicas: Replicas, gateways: Gateways, tmp_path: Path
) -> None:
    blue = await replicas("blue")
    first = await web.acknowledged_start(gateways, tumour({BLUE: 100}, {BLUE: [blue]}))
    second = Gateway(tmp_path / "second", web.url)
    second.port = first.port
    with pytest.raises(AssertionError):
        await second.start()
    assert second.process is not None
    assert await second.process.wait() == 2
    (line,) = second.log().splitlines()
    assert "stop what uses the port, or choose another" in line
