"""Who acts, on what, and by which bindings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from core import ids


class ActorKind(StrEnum):
    PERSON = "person"
    SERVICE = "service"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever asks for something, for the length of one request, message or task.

    `ref` is the pseudonym that the audit log uses; empty until the account has one. `scopes` is
    None for a session, which has all the rights of its person, and the token's words otherwise.
    `memory` keeps what was looked up about this actor, so that it is looked up once per request:
    make a new Actor for each, and never keep one.
    """

    user_id: str
    username: str
    ref: str = ""
    kind: ActorKind = ActorKind.PERSON
    scopes: frozenset[str] | None = None
    token_id: str | None = None
    request_id: str = ""
    memory: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def uses_token(self) -> bool:
        return self.scopes is not None


# Slipway itself: the reconcile loop, the sweeps, the commands an operator runs on the machine.
SYSTEM = Actor(user_id="", username="system", ref="system", kind=ActorKind.SYSTEM)


# How the ids of each kind are shown. Governance knows the kinds by name only.
PREFIX_OF_KIND = {
    "account": "usr",
    "alias": "als",
    "endpoint": "end",
    "environment": "env",
    "gateway": "gtw",
    "host": "hst",
    "key": "key",
    "member": "bnd",
    "model": "mdl",
    "release": "rel",
    "replica": "rep",
    "rollout": "rol",
    "team": "team",
    "token": "tok",
    "version": "ver",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is acted on, by kind and id, and the scopes that it lies in. Ids are bare ULIDs."""

    kind: str
    id: str = ""
    team_id: str = ""
    environment_id: str = ""
    model_id: str = ""


def shown_id(kind: str, ulid: str) -> str:
    """The id of a thing of that kind as people see it."""
    prefix = PREFIX_OF_KIND.get(kind)
    return ids.public(prefix, ulid) if prefix and ids.is_ulid(ulid) else ulid


class ScopeKind(StrEnum):
    EVERYTHING = "everything"
    TEAM = "team"
    ENVIRONMENT = "environment"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Binding:
    """One role in one scope, perhaps until a moment."""

    role: str
    scope_kind: ScopeKind
    scope_id: str = ""
    expires_at: datetime | None = None

    def counts_at(self, moment: datetime) -> bool:
        return self.expires_at is None or moment < self.expires_at

    def covers(self, subject: Subject) -> bool:
        """A scope covers everything, or what lies in its team, its environment or its model.

        One of them is enough: an engineer of a team may act on its models in every environment,
        an operator of an environment on every model in it. Protecting one environment from the
        teams that may deploy elsewhere is what approval policies are for.
        """
        match self.scope_kind:
            case ScopeKind.EVERYTHING:
                return True
            case ScopeKind.TEAM:
                return bool(self.scope_id) and self.scope_id == subject.team_id
            case ScopeKind.ENVIRONMENT:
                return bool(self.scope_id) and self.scope_id == subject.environment_id
            case ScopeKind.MODEL:
                return bool(self.scope_id) and self.scope_id == subject.model_id
