"""What the xDS endpoint needs of a storage. One contract test holds for every implementation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from deployments.domain.acknowledgement import Judgement, PollState

Key = tuple[str, str]
"""(environment id, type url): what a generation belongs to."""


@dataclass(frozen=True, slots=True)
class RegisteredGateway:
    """A gateway that may ask. A removed one is not registered."""

    gateway_id: str
    environment_id: str
    token_hash: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    generation: int
    resources: Sequence[Mapping[str, Any]]


class SnapshotStore(Protocol):
    async def gateway(self, node_id: str) -> RegisteredGateway | None:
        """The gateway with this public id; None if there is none or it was removed."""
        ...

    async def current(self, environment_id: str, type_url: str) -> Snapshot | None:
        """The newest snapshot; None while nothing was ever derived for the environment."""
        ...

    async def generations(self) -> Mapping[Key, int]:
        """The newest generation of every environment and type, in one query."""
        ...

    async def judge(
        self, gateway_id: str, type_url: str, judge: Callable[[PollState], Judgement]
    ) -> Judgement:
        """Apply `judge` to the stored state and store what it gives, as one transaction: polls of
        one gateway may overlap. A gateway not heard of starts with an empty state. Sets the time of
        the last poll, and of the acknowledgement when it is new."""
        ...

    async def note_rejection(
        self, gateway_id: str, type_url: str, generation: int, reason: str
    ) -> None:
        """Keep the reason of a rejection, unless the gateway has moved on from that generation."""
        ...
