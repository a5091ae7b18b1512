"""What the API answers, typed as far as this client reads it.

Unknown fields are ignored, absent ones have a default: a newer server must not break an older
client. `raw` is the answer as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    team: str
    task: str
    latest_version: int | None
    aliases: Mapping[str, int]
    raw: Json

    @classmethod
    def of(cls, raw: Json) -> Model:
        return cls(
            name=raw["name"],
            team=str(raw.get("team") or ""),
            task=raw.get("task") or "",
            latest_version=raw.get("latest_version"),
            aliases=raw.get("aliases") or {},
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class Version:
    id: str
    model: str
    number: int
    digest: str
    size: int
    created_at: str
    raw: Json

    @classmethod
    def of(cls, raw: Json) -> Version:
        artifact = raw.get("artifact") or {}
        return cls(
            id=raw.get("id", ""),
            model=str(raw.get("model") or ""),
            number=int(raw["number"]),
            digest=artifact.get("digest", ""),
            size=int(artifact.get("size") or 0),
            created_at=raw.get("created_at") or "",
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    id: str
    name: str
    environment: str
    url: str
    is_open: bool
    state: str
    sentence: str
    stable_version: int | None
    traffic: tuple[Json, ...]
    replicas: tuple[Json, ...]
    active_rollout: str
    raw: Json

    @classmethod
    def of(cls, raw: Json) -> Endpoint:
        return cls(
            id=raw["id"],
            name=raw["name"],
            environment=_name(raw.get("environment")),
            url=raw.get("url") or "",
            is_open=bool(raw.get("is_open")),
            state=raw.get("state") or "",
            sentence=raw.get("sentence") or "",
            stable_version=_version(raw.get("stable_release")),
            traffic=tuple(raw.get("traffic") or ()),
            replicas=tuple(raw.get("replica_list") or ()),
            active_rollout=_id(raw.get("active_rollout")),
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class Rollout:
    id: str
    number: int
    endpoint: str
    environment: str
    target_version: int | None
    stable_version: int | None
    phase: str
    outcome: str
    badge: str
    sentence: str
    waiting: str
    steps: tuple[Json, ...]
    reason_code: str
    reason: str
    evidence: Any
    timings: Mapping[str, str | None]
    gateways: tuple[Json, ...]
    raw: Json

    @classmethod
    def of(cls, raw: Json) -> Rollout:
        status = raw.get("status") or {}
        endpoint = raw.get("endpoint") or {}
        reason = status.get("reason") or {}
        return cls(
            id=raw["id"],
            number=int(raw.get("number") or 0),
            endpoint=_name(endpoint),
            environment=_name(endpoint.get("environment")) if isinstance(endpoint, dict) else "",
            target_version=_version(raw.get("target")),
            stable_version=_version(raw.get("stable")),
            phase=status.get("phase") or "",
            outcome=status.get("outcome") or "",
            badge=status.get("badge") or "",
            sentence=status.get("sentence") or "",
            waiting=status.get("waiting") or "",
            steps=tuple(status.get("steps") or ()),
            reason_code=reason.get("code") or "",
            reason=reason.get("message") or "",
            evidence=reason.get("evidence"),
            timings=raw.get("timings") or {},
            gateways=tuple(raw.get("gateways") or ()),
            raw=raw,
        )

    @property
    def is_decided(self) -> bool:
        """Traffic is where it will stay; old replicas may still drain."""
        return self.outcome != ""

    @property
    def is_done(self) -> bool:
        return self.phase == "done"

    @property
    def succeeded(self) -> bool:
        return self.outcome in ("promoted", "observed")


@dataclass(frozen=True, slots=True)
class Key:
    """An endpoint key. `text` is the key itself, which only the answer that made it holds."""

    id: str
    name: str
    environment: str
    endpoints: tuple[str, ...]
    state: str
    requests_per_minute: int | None
    requests_per_day: int | None
    usage: tuple[Json, ...]
    acknowledged: bool
    expires_at: str
    last_used_at: str
    rotated_to: str
    text: str
    raw: Json

    @classmethod
    def of(cls, raw: Json) -> Key:
        return cls(
            id=raw["id"],
            name=raw.get("name") or "",
            environment=_name(raw.get("environment")),
            endpoints=tuple(raw.get("endpoints") or ()),
            state=raw.get("state") or "",
            requests_per_minute=raw.get("requests_per_minute"),
            requests_per_day=raw.get("requests_per_day"),
            usage=tuple(raw.get("usage") or ()),
            acknowledged=bool(raw.get("acknowledged")),
            expires_at=raw.get("expires_at") or "",
            last_used_at=raw.get("last_used_at") or "",
            rotated_to=raw.get("rotated_to") or "",
            text=raw.get("key") or "",
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class Build:
    id: str
    image: str
    model: str
    version: int | None
    kind: str
    host: str
    state: str
    sentence: str
    attempts: int
    failure_code: str
    raw: Json

    @classmethod
    def of(cls, raw: Json) -> Build:
        failure = raw.get("failure") or {}
        return cls(
            id=raw["id"],
            image=raw.get("image") or "",
            model=raw.get("model") or "",
            version=raw.get("version"),
            kind=raw.get("kind") or "",
            host=raw.get("host") or "",
            state=raw.get("state") or "",
            sentence=raw.get("sentence") or "",
            attempts=int(raw.get("attempts") or 0),
            failure_code=failure.get("code") or "",
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    status: str
    target_kind: str
    target_id: str
    error: Json | None
    raw: Json

    @classmethod
    def of(cls, raw: Json) -> Operation:
        target = raw.get("target") or {}
        return cls(
            id=raw.get("id", ""),
            status=raw.get("status") or "",
            target_kind=target.get("kind") or "",
            target_id=target.get("id") or "",
            error=raw.get("error"),
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class Host:
    id: str
    name: str
    environment: str
    kind: str
    address: str
    publish_address: str
    engine_version: str
    has_base_image: bool
    capacity: int
    replicas: int
    free: int
    state: str
    last_contact_at: str
    last_error: str
    raw: Json

    @classmethod
    def of(cls, raw: Json) -> Host:
        engine = raw.get("engine") or {}
        return cls(
            id=raw["id"],
            name=raw["name"],
            environment=_name(raw.get("environment")),
            kind=raw.get("kind") or "",
            address=raw.get("address") or "",
            publish_address=raw.get("publish_address") or "",
            engine_version=engine.get("version") or "",
            has_base_image=bool(engine.get("has_base_image")),
            capacity=int(raw.get("capacity") or 0),
            replicas=int(raw.get("replicas") or 0),
            free=int(raw.get("free") or 0),
            state=raw.get("state") or "",
            last_contact_at=raw.get("last_contact_at") or "",
            last_error=raw.get("last_error") or "",
            raw=raw,
        )


def _name(value: Any) -> str:
    """Some answers name a thing, some carry it whole."""
    if isinstance(value, dict):
        return str(value.get("name") or value.get("id") or "")
    return str(value or "")


def _id(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("id") or "")
    return str(value or "")


def _version(value: Any) -> int | None:
    """The version number of a release or of a rollout's side, however deep it is given."""
    while isinstance(value, dict):
        value = value.get("version", value.get("number"))
    return int(value) if isinstance(value, int) else None
