"""The xDS endpoint without a network: polls in, answers out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.errors import Invalid
from deployments.domain.acknowledgement import MAX_SERVED
from deployments.domain.routing import CLUSTER_TYPE
from deployments.xds import polls
from deployments.xds.app import XdsApp
from deployments.xds.certificates import MOST, WITHIN_SECONDS, CertificateDesk
from deployments.xds.ports import RegisteredGateway
from deployments.xds.watcher import Watcher
from tests.fakes.snapshot_store import FakeSnapshotStore

CLUSTERS = "/v3/discovery:clusters"
NODE = "gtw_1"


class Xds:
    def __init__(self) -> None:
        self.store = FakeSnapshotStore()
        self.store.register(NODE, "staging", "secret")
        self.explained: list[str] = []
        self.news: list[str] = []
        self.certified: list[tuple[str, str]] = []
        self.watcher = Watcher(self.store, every=0.005)
        self.app = XdsApp(
            self.store,
            explain=self._explain,
            on_news=self._told,
            certify=self._certify,
            watcher=self.watcher,
            hold=0.03,
            penalty=0.0,
        )

    def _explain(self, type_url: str, _: object) -> str:
        self.explained.append(type_url)
        return "because"

    async def _certify(self, gateway_id: str, csr: str) -> dict[str, object]:
        self.certified.append((gateway_id, csr))
        if csr == "none":
            raise Invalid("The request is none.", code="certificate:bad-request")
        return {"certificate": f"of {gateway_id}"}

    async def _told(self, environment_id: str) -> None:
        self.news.append(environment_id)

    async def ask(
        self, body: bytes, path: str = CLUSTERS, method: str = "POST", leaves: bool = False
    ) -> tuple[int, Any]:
        asked = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[Any] = []

        async def receive() -> Any:
            if asked:
                return asked.pop()
            if not leaves:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app({"type": "http", "method": method, "path": path}, receive, send)
        if not sent:
            return 0, None
        content = sent[1]["body"]
        return sent[0]["status"], json.loads(content) if content else None

    async def poll(self, version: str = "", **how: Any) -> tuple[int, Any]:
        return await self.ask(request(version), **how)

    async def certify(self, csr: object = "csr", **who: object) -> tuple[int, Any]:
        body = {**json.loads(request(**who)), "csr": csr}  # type: ignore[arg-type]
        return await self.ask(json.dumps(body).encode(), polls.CERTIFICATE_PATH)


def request(version: str = "", node: str = NODE, token: object = "secret") -> bytes:
    return json.dumps(
        {"version_info": version, "node": {"id": node, "metadata": {"token": token}}}
    ).encode()


@pytest.fixture
async def xds() -> AsyncIterator[Xds]:
    xds = Xds()
    yield xds
    await xds.watcher.stop()


async def test_a_first_poll_gets_the_snapshot_at_once(xds: Xds) -> None:
    xds.store.put("staging", CLUSTER_TYPE, [{"name": "a"}])
    status, answer = await xds.poll()
    assert status == 200
    assert answer == {
        "version_info": "1",
        "type_url": CLUSTER_TYPE,
        "resources": [{"name": "a"}],
    }


async def test_a_poll_without_a_change_is_held_and_then_told_so(xds: Xds) -> None:
    xds.store.put("staging", CLUSTER_TYPE, [])
    assert await xds.poll("1") == (304, None)
    assert xds.news == ["staging"]


async def test_a_held_poll_is_answered_as_soon_as_there_is_a_change(xds: Xds) -> None:
    xds.store.put("staging", CLUSTER_TYPE, [])
    held = asyncio.create_task(xds.poll("1"))
    while not xds.store.polls:
        await asyncio.sleep(0)
    xds.store.put("staging", CLUSTER_TYPE, [{"name": "b"}])
    xds.watcher.hurry()
    status, answer = await held
    assert (status, answer["version_info"]) == (200, "2")


async def test_a_gateway_that_is_removed_while_its_poll_is_held_gets_nothing_new(xds: Xds) -> None:
    xds.store.put("staging", CLUSTER_TYPE, [])
    held = asyncio.create_task(xds.poll("1"))
    while not xds.store.polls:
        await asyncio.sleep(0)
    xds.store.remove(NODE)
    xds.store.put("staging", CLUSTER_TYPE, [{"name": "b"}])
    xds.watcher.hurry()
    assert (await held)[0] == 304
    assert (await xds.poll("1"))[0] == 401


async def test_a_change_in_another_environment_wakes_nobody(xds: Xds) -> None:
    xds.store.put("staging", CLUSTER_TYPE, [])
    held = asyncio.create_task(xds.poll("1"))
    while not xds.store.polls:
        await asyncio.sleep(0)
    xds.store.put("production", CLUSTER_TYPE, [{"name": "b"}])
    xds.watcher.hurry()
    assert (await held)[0] == 304


async def test_an_environment_without_a_snapshot_has_an_empty_one(xds: Xds) -> None:
    """Or its gateway would not even listen."""
    status, answer = await xds.poll()
    assert (status, answer["version_info"], answer["resources"]) == (200, "0", [])
    held = asyncio.create_task(xds.poll("0"))
    while len(xds.news) < 1:
        await asyncio.sleep(0)
    xds.store.put("staging", CLUSTER_TYPE, [])
    assert (await held)[1]["version_info"] == "1"


async def test_who_leaves_is_not_served(xds: Xds) -> None:
    xds.store.put("staging", CLUSTER_TYPE, [])
    assert await xds.poll("1", leaves=True) == (0, None)


async def test_a_rejection_is_explained_before_it_is_told(xds: Xds) -> None:
    xds.store.put("staging", CLUSTER_TYPE, [])
    for _ in range(MAX_SERVED):
        assert (await xds.poll())[0] == 200
    await xds.poll()
    while not xds.news:
        await asyncio.sleep(0)
    assert xds.store.reasons[NODE, CLUSTER_TYPE] == "because"
    assert xds.explained == [CLUSTER_TYPE]


@pytest.mark.parametrize(
    "body", [request(token="wrong"), request(node="gtw_2"), request(token="")], ids=str
)
async def test_mallory_gets_nothing(xds: Xds, body: bytes) -> None:
    xds.store.put("staging", CLUSTER_TYPE, [{"name": "a"}])
    assert (await xds.ask(body))[0] == 401
    assert xds.store.polls == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"node": 5}',
        b'{"node": {"id": "gtw_1"}}',
        b"\xff",
        b"[" * 100_000,
        request(token=5),
        request(token="\ud800"),
        b"x" * (polls.MAX_BODY + 1),
    ],
    ids=lambda body: repr(body[:20]),
)
async def test_what_is_no_discovery_request_is_refused(xds: Xds, body: bytes) -> None:
    status, answer = await xds.ask(body)
    assert status == 400
    assert list(answer) == ["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", CLUSTERS), ("POST", "/v3/discovery:secrets"), ("POST", "/"), ("POST", "")],
)
async def test_other_paths_and_methods_are_unknown(xds: Xds, method: str, path: str) -> None:
    assert (await xds.ask(request(), path, method))[0] == 404


async def test_a_storage_that_fails_costs_a_503_and_health_tells(xds: Xds) -> None:
    assert (await xds.ask(b"", polls.HEALTH_PATH, "GET"))[0] == 200
    xds.store.down = True
    assert (await xds.poll())[0] == 503
    assert not await xds.watcher.healthy(within=0.0)
    xds.store.down = False
    xds.store.put("staging", CLUSTER_TYPE, [])
    assert (await xds.poll())[0] == 200


async def test_a_gateway_gets_a_certificate_by_its_token(xds: Xds) -> None:
    assert await xds.certify() == (200, {"certificate": f"of {NODE}"})
    assert xds.certified == [(NODE, "csr")]


@pytest.mark.parametrize("who", [{"token": "wrong"}, {"node": "gtw_2"}, {"token": ""}], ids=str)
async def test_mallory_gets_no_certificate(xds: Xds, who: dict[str, str]) -> None:
    assert (await xds.certify(**who))[0] == 401
    assert xds.certified == []


@pytest.mark.parametrize(
    ("csr", "status"), [(5, 400), (None, 400), ("\ud800", 400), ("none", 422)], ids=str
)
async def test_what_is_no_certificate_request_is_refused(
    xds: Xds, csr: object, status: int
) -> None:
    found, answer = await xds.certify(csr)
    assert (found, list(answer)) == (status, ["error"])


async def test_a_gateway_that_asks_on_and_on_has_to_wait_and_no_other_one_has() -> None:
    asked: list[str] = []
    now = [0.0]

    async def certify(gateway_id: str, _: str) -> dict[str, object]:
        asked.append(gateway_id)
        return {}

    desk = CertificateDesk(certify, clock=lambda: now[0])

    async def answer(gateway_id: str) -> tuple[int, dict[bytes, bytes]]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await desk.answer(RegisteredGateway(gateway_id, "staging", ""), "csr", send)
        return sent[0]["status"], dict(sent[0]["headers"])

    for _ in range(MOST):
        assert (await answer("gtw_1"))[0] == 200
    status, headers = await answer("gtw_1")
    assert (status, headers[b"retry-after"]) == (429, b"60")
    assert (await answer("gtw_2"))[0] == 200
    assert len(asked) == MOST + 1
    now[0] += WITHIN_SECONDS
    assert (await answer("gtw_1"))[0] == 200
