"""A snapshot store in memory; the contract test holds it to what the database one does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deployments.domain.acknowledgement import Judgement, PollState
from deployments.domain.gateways import token_hash
from deployments.xds.ports import Key, RegisteredGateway, Snapshot


class FakeSnapshotStore:
    def __init__(self) -> None:
        self.gateways: dict[str, RegisteredGateway] = {}
        self.snapshots: dict[Key, Snapshot] = {}
        self.states: dict[tuple[str, str], PollState] = {}
        self.reasons: dict[tuple[str, str], str] = {}
        self.polls: dict[tuple[str, str], int] = {}
        self.down = False

    def register(self, gateway_id: str, environment_id: str, token: str) -> None:
        self.gateways[gateway_id] = RegisteredGateway(gateway_id, environment_id, token_hash(token))

    def remove(self, gateway_id: str) -> None:
        del self.gateways[gateway_id]

    def put(
        self, environment_id: str, type_url: str, resources: Sequence[Mapping[str, Any]]
    ) -> int:
        before = self.snapshots.get((environment_id, type_url))
        generation = 1 if before is None else before.generation + 1
        self.snapshots[environment_id, type_url] = Snapshot(generation, list(resources))
        return generation

    def state(self, gateway_id: str, type_url: str) -> PollState:
        return self.states.get((gateway_id, type_url), PollState())

    async def gateway(self, node_id: str) -> RegisteredGateway | None:
        self._fail_if_down()
        return self.gateways.get(node_id)

    async def current(self, environment_id: str, type_url: str) -> Snapshot | None:
        self._fail_if_down()
        return self.snapshots.get((environment_id, type_url))

    async def generations(self) -> Mapping[Key, int]:
        self._fail_if_down()
        return {key: snapshot.generation for key, snapshot in self.snapshots.items()}

    async def judge(
        self, gateway_id: str, type_url: str, judge: Callable[[PollState], Judgement]
    ) -> Judgement:
        self._fail_if_down()
        key = (gateway_id, type_url)
        judged = judge(self.states.get(key, PollState()))
        self.states[key] = judged.state
        self.polls[key] = self.polls.get(key, 0) + 1
        return judged

    async def note_rejection(
        self, gateway_id: str, type_url: str, generation: int, reason: str
    ) -> None:
        self._fail_if_down()
        if self.state(gateway_id, type_url).rejected == generation:
            self.reasons[gateway_id, type_url] = reason

    def _fail_if_down(self) -> None:
        if self.down:
            raise ConnectionError("the storage is down")
