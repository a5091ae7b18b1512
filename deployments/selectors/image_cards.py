"""What pages and API are given of images and builds: plain frozen values, as in `cards`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from deployments.selectors.cards import ReasonRow


@dataclass(frozen=True, slots=True)
class HolderRow:
    """A host that has the image. `engine_id` is what its own Engine calls it; `warning` says why it
    could not be removed."""

    host: str
    environment: str
    engine_id: str
    warning: str


@dataclass(frozen=True, slots=True)
class ImageRow:
    """`state` is queued, running, ready, failed or gone: built once, and on no host any more."""

    id: str
    model: str
    version: int
    digest: str
    base: str
    base_id: str
    registry_reference: str
    state: str
    size: int
    hosts: tuple[HolderRow, ...]
    build: str | None
    built_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BuildRow:
    """`sentence` says how it stands; `failure` is of the last attempt, if that failed."""

    id: str
    image: str
    model: str
    version: int
    kind: str
    host: str
    environment: str
    state: str
    sentence: str
    attempts: int
    failure: ReasonRow | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    revision: int


@dataclass(frozen=True, slots=True)
class BuildLogRow:
    """The log as far as it is written; `is_over` when nothing more will come."""

    build: str
    state: str
    is_over: bool
    text: str
