"""What clients speak to, and whom a gateway takes for the control plane."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from core.pki import Authority
from tests.contract.gateway.grpc_replica import GrpcReplica, client_of
from tests.contract.gateway.harness import Gateway, Replica, Tls, Web, until
from tests.contract.gateway.load import Load
from tests.contract.gateway.routes import BLUE, tumour
from wire import identity

pytestmark = pytest.mark.needs("envoy")

Replicas = Callable[..., Awaitable[Replica]]
OverGrpc = Callable[[Replica], Awaitable[GrpcReplica]]
Gateways = Callable[..., Awaitable[Gateway]]

INFER = "/v2/models/tumour/infer"


@pytest.fixture
def trust(authority: Authority, tmp_path: Path) -> Path:
    path = tmp_path / "authority.pem"
    path.write_text(authority.pem)
    return path


async def shown_by(gateway: Gateway, alpn: list[str] | None = None) -> tuple[bytes, str | None]:
    """The certificate (DER) that a new connection is shown, and the protocol agreed on."""
    context = ssl.create_default_context(cafile=gateway.trust)
    context.set_alpn_protocols(alpn or ["http/1.1"])
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port, ssl=context)
    found: ssl.SSLObject = writer.get_extra_info("ssl_object")
    der = found.getpeercert(binary_form=True)
    assert der is not None
    agreed = found.selected_alpn_protocol()
    writer.close()
    return der, agreed


async def test_clients_may_be_shown_a_certificate_of_the_internal_authority(
    web: Web, replicas: Replicas, over_grpc: OverGrpc, gateways: Gateways, trust: Path
) -> None:
    blue = await replicas("blue")
    await over_grpc(blue)
    generations = web.publish(tumour({BLUE: 100}, {BLUE: [blue]}))
    gateway = await gateways(web, options=("--tls", "generated"), trust=trust)
    await web.acknowledged(generations)
    async with gateway.client() as client:
        assert (await client.post(INFER, json={})).status_code == 200
    async with client_of(gateway) as caller:
        assert (await caller.infer("tumour")).code.name == "OK"
    assert (await shown_by(gateway, ["h2", "http/1.1"]))[1] == "h2"
    assert (await shown_by(gateway))[1] == "http/1.1"
    # Nothing is said plainly any more.
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.HTTPError):
            await client.get(f"http://127.0.0.1:{gateway.port}/v2/health/live")


async def test_a_generated_certificate_is_renewed_for_clients_too(
    web: Web, gateways: Gateways, trust: Path
) -> None:
    gateway = await gateways(web, options=("--tls", "generated"), trust=trust)
    first, _ = await shown_by(gateway)
    assert gateway.process is not None
    gateway.process.send_signal(1)  # SIGHUP
    await until(lambda: len(web.certified) == 2, "the renewal")
    while (await shown_by(gateway))[0] == first:
        await asyncio.sleep(0.01)


async def test_a_certificate_of_ones_own_is_taken_in_when_its_files_change(
    web: Web,
    replicas: Replicas,
    gateways: Gateways,
    authority: Authority,
    tmp_path: Path,
    trust: Path,
) -> None:
    own, folder = tmp_path / "own", tmp_path / "own"
    tls = Tls.issue(authority, identity.WEB, folder, "127.0.0.1")
    blue = await replicas("blue")
    generations = web.publish(tumour({BLUE: 100}, {BLUE: [blue]}))
    options = ("--tls-certificate", str(tls.certificate), "--tls-key", str(tls.key))
    gateway = await gateways(web, options=options, trust=trust)
    await web.acknowledged(generations)
    first, _ = await shown_by(gateway)
    assert first == ssl.PEM_cert_to_DER_cert(tls.certificate.read_text())
    async with Load(gateway, INFER, connections=2) as load:
        following = Tls.issue(authority, identity.WEB, tmp_path / "next", "127.0.0.1")
        # One after the other: in between they do not belong together, and the old ones stay.
        shutil.copy(following.certificate, own / "certificate.pem")
        await until(lambda: gateway.events("listener-certificate-unusable"), "it is told")
        assert (await shown_by(gateway))[0] == first
        shutil.copy(following.key, own / "key.pem")
        await until(lambda: len(gateway.events("listener-certificate-read")) == 2, "it is read")
        while (await shown_by(gateway))[0] == first:
            await asyncio.sleep(0.01)
        count = load.attempted
        await until(lambda: load.attempted > count + 20, "requests with it")
    assert load.problems == []


async def test_web_is_asked_over_tls_and_must_be_who_it_is(
    gateways: Gateways, replicas: Replicas, authority: Authority, tmp_path: Path, trust: Path
) -> None:
    tls = Tls.issue(authority, identity.WEB, tmp_path / "web", "127.0.0.1")
    web = Web(authority, tls=Tls(tls.certificate, tls.key))
    await web.start()
    blue = await replicas("blue")
    generations = web.publish(tumour({BLUE: 100}, {BLUE: [blue]}))
    gateway = await gateways(web, options=("--web-ca", str(trust)))
    await web.acknowledged(generations)
    async with gateway.client() as client:
        assert (await client.post(INFER, json={})).status_code == 200
    # Gone and back again, as in plain.
    await web.kill()
    await web.start()
    await web.acknowledged(web.publish(tumour({}, {BLUE: [blue]})))
    await web.kill()


@pytest.mark.parametrize("case", ["of another authority", "of another name"])
async def test_a_web_that_is_another_one_is_told_nothing(
    gateways: Gateways, authority: Authority, tmp_path: Path, trust: Path, case: str
) -> None:
    signer = authority if case == "of another name" else Authority(tmp_path / "elsewhere")
    host = "web.example" if case == "of another name" else "127.0.0.1"
    tls = Tls.issue(signer, identity.WEB, tmp_path / "web", host)
    web = Web(signer, tls=Tls(tls.certificate, tls.key))
    await web.start()
    gateway = await gateways(web, serving=False, options=("--web-ca", str(trust)))
    await until(lambda: gateway.events("certificate-not-renewed"), "it is told")
    assert "verify failed" in gateway.events("certificate-not-renewed")[0]["problem"]
    assert web.certified == []
    assert web.refused == 0
    await web.kill()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--web", "https://web", "--tls", "plain"), "without TLS"),
        (("--tls", "generated"), "over TLS"),
    ],
    ids=["plain listener", "plain web"],
)
async def test_in_production_nothing_is_plain(
    web: Web, tmp_path: Path, options: tuple[str, ...], sentence: str
) -> None:
    gateway = Gateway(tmp_path / "gateway", web.url, options=("--profile", "production", *options))
    with pytest.raises(AssertionError):
        await gateway.start()
    assert gateway.process is not None
    assert await gateway.process.wait() == 2
    assert sentence in gateway.log().splitlines()[-1]


async def test_a_certificate_that_is_none_is_told_in_one_line(web: Web, tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("nothing")
    options = ("--tls-certificate", str(tmp_path / "c.pem"), "--tls-key", str(tmp_path / "c.pem"))
    gateway = Gateway(tmp_path / "gateway", web.url, options=options)
    await gateway.start(serving=False)
    assert gateway.process is not None
    assert await gateway.process.wait() == 2
    assert gateway.log().splitlines()[-1].startswith("gateway: ")
