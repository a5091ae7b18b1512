"""What the xDS endpoint relies on, of the store in memory and of the one over Django's rows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from deployments.domain.acknowledgement import Answer, Judgement, PollState, hear
from deployments.domain.gateways import token_hash
from deployments.domain.routing import CLUSTER_TYPE, ROUTE_TYPE
from deployments.xds.ports import SnapshotStore
from tests.fakes.snapshot_store import FakeSnapshotStore


class InMemory:
    store: SnapshotStore

    def __init__(self) -> None:
        self.store = self._fake = FakeSnapshotStore()
        self.environment = "staging"
        self.node = "gtw_1"

    async def register(self, token: str) -> None:
        self._fake.register(self.node, self.environment, token)

    async def remove(self) -> None:
        self._fake.remove(self.node)

    async def put(self, type_url: str, resources: list[dict[str, Any]]) -> int:
        return self._fake.put(self.environment, type_url, resources)

    async def reason(self, gateway_id: str, type_url: str) -> str:
        return self._fake.reasons.get((gateway_id, type_url), "")


class InRows:
    store: SnapshotStore

    def __init__(self) -> None:
        from deployments import models
        from deployments.xds.store import DjangoSnapshotStore

        self._models = models
        self.store = DjangoSnapshotStore()
        self._environment = models.Environment.objects.create(name="xds", smoke_secret="s")
        self._gateway: Any = None
        self.environment = self._environment.pk
        self.node = "gtw_01J00000000000000000000001"

    async def register(self, token: str) -> None:
        create = sync_to_async(self._models.Gateway.objects.create)
        self._gateway = await create(
            environment=self._environment, name="gateway", token_hash=token_hash(token)
        )
        self.node = self._gateway.public_id

    async def remove(self) -> None:
        from core import clock

        self._gateway.removed_at = clock.now()
        await sync_to_async(self._gateway.save)()

    async def put(self, type_url: str, resources: list[dict[str, Any]]) -> int:
        snapshots = self._models.Snapshot.objects
        found = await sync_to_async(
            snapshots.filter(environment=self._environment, type_url=type_url).first
        )()
        generation: int = found.generation + 1 if found else 1
        await sync_to_async(snapshots.update_or_create)(
            environment=self._environment,
            type_url=type_url,
            defaults={"generation": generation, "resources": resources, "content_hash": "0"},
        )
        return generation

    async def reason(self, gateway_id: str, type_url: str) -> str:
        states = self._models.GatewayState.objects
        found = await sync_to_async(states.get)(gateway_id=gateway_id, type_url=type_url)
        return str(found.rejected_reason)


@pytest.fixture(
    params=["memory", pytest.param("rows", marks=pytest.mark.django_db(transaction=True))]
)
def world(request: pytest.FixtureRequest) -> Iterator[InMemory | InRows]:
    if request.param == "memory":
        yield InMemory()
    else:
        yield InRows()


World = InMemory | InRows


async def test_a_gateway_is_found_by_its_public_id_until_it_is_removed(world: World) -> None:
    assert await world.store.gateway(world.node) is None
    await world.register("secret")
    found = await world.store.gateway(world.node)
    assert found is not None
    assert found.environment_id == world.environment
    assert found.token_hash == token_hash("secret")
    await world.remove()
    assert await world.store.gateway(world.node) is None


@pytest.mark.parametrize("node", ["", "gtw_", "nonsense", "env_01J00000000000000000000001"])
async def test_nobody_has_an_impossible_id(world: World, node: str) -> None:
    assert await world.store.gateway(node) is None


async def test_snapshots_are_kept_per_type_and_generations_told_together(world: World) -> None:
    assert await world.store.current(world.environment, CLUSTER_TYPE) is None
    await world.put(CLUSTER_TYPE, [{"name": "a"}])
    await world.put(CLUSTER_TYPE, [{"name": "b"}])
    await world.put(ROUTE_TYPE, [])
    current = await world.store.current(world.environment, CLUSTER_TYPE)
    assert current is not None
    assert (current.generation, list(current.resources)) == (2, [{"name": "b"}])
    told = dict(await world.store.generations())
    assert told[world.environment, CLUSTER_TYPE] == 2
    assert told[world.environment, ROUTE_TYPE] == 1


async def gateway_of(world: World) -> str:
    await world.register("secret")
    found = await world.store.gateway(world.node)
    assert found is not None
    return found.gateway_id


async def test_a_judgement_is_stored_and_the_next_one_sees_it(world: World) -> None:
    gateway = await gateway_of(world)
    seen: list[PollState] = []

    def judge(state: PollState) -> Judgement:
        seen.append(state)
        return hear(state, None if len(seen) == 1 else 1, 1)

    first = await world.store.judge(gateway, CLUSTER_TYPE, judge)
    second = await world.store.judge(gateway, CLUSTER_TYPE, judge)
    assert seen == [PollState(), PollState(served=1, served_count=1)]
    assert (first.answer, second.answer, second.newly_acked) == (Answer.SERVE, Answer.HOLD, True)
    await world.store.judge(gateway, ROUTE_TYPE, judge)
    assert seen[-1] == PollState()


async def test_judgements_of_one_gateway_do_not_overlap(world: World) -> None:
    gateway = await gateway_of(world)

    def count(state: PollState) -> Judgement:
        return Judgement(replace(state, served_count=state.served_count + 1), Answer.HOLD)

    await asyncio.gather(*(world.store.judge(gateway, CLUSTER_TYPE, count) for _ in range(8)))
    last = await world.store.judge(gateway, CLUSTER_TYPE, count)
    assert last.state.served_count == 9


async def test_a_reason_belongs_to_one_rejected_generation(world: World) -> None:
    gateway = await gateway_of(world)
    rejected = Judgement(PollState(served=2, rejected=2), Answer.HOLD, newly_rejected=True)
    await world.store.judge(gateway, CLUSTER_TYPE, lambda _: rejected)
    await world.store.note_rejection(gateway, CLUSTER_TYPE, 1, "too late")
    assert await world.reason(gateway, CLUSTER_TYPE) == ""
    await world.store.note_rejection(gateway, CLUSTER_TYPE, 2, "because")
    assert await world.reason(gateway, CLUSTER_TYPE) == "because"
