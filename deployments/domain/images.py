"""Which images are made where, and which are let go of. Pure.

An image is built once, on one host that has the base image, and brought to the others. What no
release, replica or container needs any more is garbage, but for the newest few of each endpoint.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Work(StrEnum):
    """What is done for an image on a host."""

    BUILD = "build"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class Place:
    """A Docker host of the environment that an image is wanted in.

    `has_base`: it has the very base image that the image is built on. `busy`: something is already
    being done for the image there. `gave_up`: the last attempt there failed, not long ago.
    """

    host: str
    answers: bool
    has_base: bool
    has_copy: bool = False
    busy: bool = False
    gave_up: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    work: Work
    host: str


class Held(StrEnum):
    """Where the image is already, of whatever environment the host may be."""

    NOWHERE = "nowhere"
    SILENT = "silent"  # only on hosts that do not answer
    REACHABLE = "reachable"


def orders(places: Sequence[Place], held: Held, *, being_built: bool) -> list[Order]:
    """What is still to be queued so that every host gets the image.

    Where it has to be built, one host is chosen and the others wait for its copy; `being_built`:
    one is at it. What is queued or failed lately is left alone. Where only silent hosts have it,
    it is built again if another one can do that now, and otherwise waited for.
    """
    lacking = [place for place in places if not (place.has_copy or place.busy or place.gave_up)]
    if held is Held.REACHABLE:
        return [Order(Work.COPY, place.host) for place in lacking]
    if being_built or any(place.busy for place in places):
        return []
    if held is Held.SILENT:
        lacking = [place for place in lacking if place.answers and place.has_base]
    return [Order(Work.BUILD, builder(lacking))] if lacking else []


def builder(places: Sequence[Place]) -> str:
    """The host to build on: one that answers and has the base, if there is one."""
    best = max(places, key=lambda place: (place.answers, place.has_base))
    return best.host


def next_builder(current: str, places: Sequence[Place]) -> str:
    """Where to go on after `current` was silent: to another one that could do it, or stay."""
    others = [place for place in places if place.host != current]
    able = [place for place in others if place.answers and place.has_base and not place.busy]
    return able[0].host if able else current


def tag_of(model: str, digest: str) -> str:
    """The image's name on every Engine. By its content: nothing else ever has it."""
    return f"slipway/{model}:{digest.removeprefix('sha256:')}"


def repository_of(registry: str, model: str) -> str:
    """Where the images of a model lie in the configured registry."""
    return f"{registry.strip('/')}/{model}"


def backoff_seconds(attempt: int) -> float:
    """How long to wait after this many attempts have failed."""
    return float(min(60.0, 2.0 * 3.0 ** max(0, attempt - 1)))


# --- garbage -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stored:
    """An image of ours on a host. `endpoints` are all that ever had a release of it; `needed` says
    why it must stay, and is empty if nothing says so. `made` orders them, the newest last."""

    engine_id: str
    made: float
    endpoints: frozenset[str] = frozenset()
    needed: str = ""


def garbage(held: Iterable[Stored], keep: int) -> list[Stored]:
    """What may go from one host: not needed, and beyond the newest `keep` of every endpoint."""
    images = sorted(held, key=lambda image: (-image.made, image.engine_id))
    kept: dict[str, int] = {}
    going = []
    for image in images:
        young = [name for name in image.endpoints if kept.get(name, 0) < keep]
        for name in image.endpoints:
            kept[name] = kept.get(name, 0) + 1
        if not image.needed and not young:
            going.append(image)
    return going


@dataclass(frozen=True, slots=True)
class Needs:
    """Why images must stay, by the id of their row."""

    reasons: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, found: Iterable[tuple[str, Collection[str]]]) -> Needs:
        """From sentences to the images that they are true of; the first one counts."""
        reasons: dict[str, str] = {}
        for reason, images in found:
            for image in images:
                reasons.setdefault(image, reason)
        return cls(reasons)

    def why(self, image: str) -> str:
        return self.reasons.get(image, "")
