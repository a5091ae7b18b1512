"""Who a gateway takes for a replica, who it is to them, and how that is renewed."""

from __future__ import annotations

import json
import signal
import ssl
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from core.pki import Authority
from tests.contract.gateway.grpc_replica import GrpcReplica, client_of
from tests.contract.gateway.harness import (
    ENVIRONMENT,
    GATEWAY,
    Gateway,
    Replica,
    Tls,
    Web,
    until,
)
from tests.contract.gateway.load import Load
from tests.contract.gateway.routes import BLUE, GREEN, tumour
from wire import identity

pytestmark = pytest.mark.needs("envoy")

Replicas = Callable[..., Awaitable[Replica]]
OverGrpc = Callable[[Replica], Awaitable[GrpcReplica]]
Gateways = Callable[..., Awaitable[Gateway]]

INFER = "/v2/models/tumour/infer"


def impostors(authority: Authority, folder: Path) -> dict[str, Tls | None]:
    """What somebody may show who was given the port of a replica of blue's."""
    of_blue = identity.replica(ENVIRONMENT, BLUE, "rep_1")
    elsewhere = Authority(folder / "elsewhere")
    names = {
        "another release": identity.replica(ENVIRONMENT, GREEN, "rep_1"),
        "a release whose id only begins alike": identity.replica(ENVIRONMENT, f"{BLUE}X", "rep_1"),
        "another environment": identity.replica("production", BLUE, "rep_1"),
        "a gateway": identity.gateway(ENVIRONMENT, GATEWAY),
        "web": identity.WEB,
    }
    shown: dict[str, Tls | None] = {
        what: Tls.issue(authority, name, folder / f"impostor-{number}", "127.0.0.1")
        for number, (what, name) in enumerate(names.items())
    }
    shown["another Slipway's replica"] = Tls.issue(elsewhere, of_blue, folder / "foreign")
    shown["nothing"] = None
    return shown


async def test_whoever_is_not_a_replica_of_the_release_never_gets_a_request(
    web: Web, gateways: Gateways, authority: Authority, tmp_path: Path
) -> None:
    found = impostors(authority, tmp_path)
    gateway = await web.acknowledged_start(gateways, tumour({}, {}))
    for what, tls in found.items():
        impostor = Replica("impostor", tls)
        await impostor.served.start()
        await web.acknowledged(web.publish(tumour({BLUE: 100}, {BLUE: [impostor]})))
        async with gateway.client() as client:
            statuses = {(await client.post(INFER, json={})).status_code for _ in range(3)}
        await impostor.served.kill()
        assert (what, statuses) == (what, {503})
        assert (what, impostor.requests, impostor.probes) == (what, [], 0)


async def test_the_same_holds_over_grpc(
    web: Web, replicas: Replicas, over_grpc: OverGrpc, gateways: Gateways
) -> None:
    impostor = await replicas("impostor", GREEN)
    calls = await over_grpc(impostor)
    gateway = await web.acknowledged_start(gateways, tumour({BLUE: 100}, {BLUE: [impostor]}))
    async with client_of(gateway) as client:
        answer = await client.infer("tumour")
    assert answer.code.name == "UNAVAILABLE"
    assert calls.calls == []


async def test_a_gateway_shows_who_it_is_and_a_replica_answers_nobody_without_a_name(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue = await replicas("blue")
    gateway = await web.acknowledged_start(gateways, tumour({BLUE: 100}, {BLUE: [blue]}))
    async with gateway.client() as client:
        assert (await client.post(INFER, json={})).status_code == 200
    unnamed = ssl.create_default_context(cafile=blue.served.tls.clients_of)  # type: ignore[union-attr]
    unnamed.check_hostname = False
    async with httpx.AsyncClient(verify=unnamed, trust_env=False) as client:
        with pytest.raises(httpx.HTTPError):
            await client.get(f"https://127.0.0.1:{blue.served.port}/v2/health/ready")


async def test_renewing_certificates_under_load_fails_no_request(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    """Each is good for six seconds, and connections are made anew all the time."""
    web.certificate_hours = 6 / 3600
    blue, second = await replicas("blue"), await replicas("second", BLUE)
    gateway = await web.acknowledged_start(gateways, tumour({BLUE: 100}, {BLUE: [blue]}))
    async with Load(gateway, INFER, connections=4) as load:
        for replica in (second, blue, second):
            renewals = len(web.certified)
            await until(lambda: len(web.certified) > renewals, "a renewal", within=30)  # noqa: B023
            await web.acknowledged(web.publish(tumour({BLUE: 100}, {BLUE: [replica]})))
            seen = len(replica.requests)
            await until(
                lambda: len(replica.requests) > seen + 50,  # noqa: B023
                "requests over new connections",
                within=30,
            )
    assert load.problems == []
    assert len({*web.certified}) == len(web.certified)
    ends = [each["ends"] for each in gateway.events("certificate-renewed")]
    assert ends == sorted(ends)


async def test_a_renewal_that_fails_changes_nothing_and_is_tried_again(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue = await replicas("blue")
    gateway = await web.acknowledged_start(gateways, tumour({BLUE: 100}, {BLUE: [blue]}))
    kept = (gateway.state / "identity.json").read_text()
    await web.kill()
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGHUP)
    await until(lambda: gateway.events("certificate-not-renewed"), "it is told")
    async with gateway.client() as client:
        assert (await client.post(INFER, json={})).status_code == 200
    assert (gateway.state / "identity.json").read_text() == kept
    await web.start()
    await until(lambda: len(web.certified) == 2, "the next attempt", within=30)
    async with gateway.client() as client:
        assert (await client.post(INFER, json={})).status_code == 200


async def test_what_is_no_certificate_for_its_key_is_not_taken(
    web: Web, replicas: Replicas, gateways: Gateways, authority: Authority
) -> None:
    blue = await replicas("blue")
    gateway = await web.acknowledged_start(gateways, tumour({BLUE: 100}, {BLUE: [blue]}))
    somebody_elses = authority.issue(identity.gateway(ENVIRONMENT, GATEWAY), hours=1).certificate

    async def certify(gateway_id: str, csr: str) -> dict[str, object]:
        answer = await web._certify(gateway_id, csr)
        return {**answer, "certificate": somebody_elses}

    web.app._desk._certify = certify
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGHUP)
    await until(lambda: gateway.events("certificate-not-renewed"), "it is told")
    assert "another key" in gateway.events("certificate-not-renewed")[0]["problem"]
    async with gateway.client() as client:
        assert (await client.post(INFER, json={})).status_code == 200


async def test_private_keys_lie_in_private_files_and_nowhere_else(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue = await replicas("blue")
    gateway = await web.acknowledged_start(gateways, tumour({BLUE: 100}, {BLUE: [blue]}))
    identity_file = gateway.state / "identity.json"
    key = json.loads(identity_file.read_text())["key"].splitlines()[1]
    holding = {
        path.relative_to(gateway.state).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in gateway.state.rglob("*")
        if path.is_file() and key in path.read_text(errors="replace")
    }
    assert holding == {"identity.json": 0o600, "watched/own.json": 0o600}
    assert stat.S_IMODE((gateway.state / "watched").stat().st_mode) == 0o700
    assert key not in (await gateway.admin("/config_dump")).text


async def test_a_kept_certificate_is_used_without_web_and_renewed_when_web_is_back(
    web: Web, replicas: Replicas, gateways: Gateways
) -> None:
    blue = await replicas("blue")
    routes = tumour({BLUE: 100}, {BLUE: [blue]})
    generations = web.publish(routes)
    gateway = await gateways(web)
    await web.acknowledged(generations)
    await gateway.saved(generations)
    await web.kill()
    await gateway.kill()
    kept = json.loads((gateway.state / "identity.json").read_text())
    # As if a third of its time had passed.
    lifetime = kept["expires_at"] - kept["obtained_at"]
    kept["obtained_at"] -= lifetime
    (gateway.state / "identity.json").write_text(json.dumps(kept))
    await gateway.start()
    async with gateway.client() as client:
        assert (await client.post(INFER, json={})).status_code == 200
    await web.start()
    await until(lambda: len(web.certified) == 2, "the renewal", within=30)


async def test_a_stranger_gets_no_certificate(web: Web, gateways: Gateways) -> None:
    gateway = await gateways(web, serving=False, token="another")
    await until(lambda: gateway.events("certificate-not-renewed"), "the refusal")
    assert "401" in gateway.events("certificate-not-renewed")[0]["problem"]
    assert web.certified == []
    assert "another" not in gateway.log()
    assert not (gateway.state / "identity.json").exists()
