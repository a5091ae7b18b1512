"""Engines that hold images, in memory. Passes the same contract tests as the real one."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from deployments.ports import HostRefused, HostSilent, ImageMissing, StoredImage

OWNER = "slipway.owner"
FULL = "write /var/lib/docker/tmp/layer: no space left on device"


@dataclass
class StoredFake:
    """`files` are those that were copied in, by name."""

    base: str
    labels: dict[str, str]
    files: dict[str, bytes]
    names: set[str] = field(default_factory=set)

    @property
    def engine_id(self) -> str:
        told = json.dumps(
            [self.base, self.labels, {n: c.hex() for n, c in self.files.items()}], sort_keys=True
        )
        return "sha256:" + hashlib.sha256(told.encode()).hexdigest()


@dataclass
class FakeRegistry:
    """What several Engines push to and pull from."""

    content: dict[str, bytes] = field(default_factory=dict)


@dataclass
class FakeImageStore:
    """`used` are images that containers were made of. `disk_full` fails every build and load;
    `silent` answers nobody; `on_build` is called while one runs."""

    owner: str = "ours"
    bases: set[str] = field(default_factory=lambda: {"sha256:" + "b" * 64})
    images: dict[str, StoredFake] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    stubborn: set[str] = field(default_factory=set)
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    builds: int = 0
    loads: int = 0
    pulls: int = 0
    disk_full: bool = False
    silent: bool = False
    fail_with: list[Exception] = field(default_factory=list)
    on_build: Callable[[], None] = lambda: None

    def id_of(self, reference: str) -> str:
        self._answer()
        if reference in self.images or reference in self.bases:
            return reference
        found = (key for key, image in self.images.items() if reference in image.names)
        return next(found, "")

    def build(self, context: Iterable[bytes], *, tag: str, labels: Mapping[str, str]) -> FakeBuild:
        self._answer()
        files = _unpacked(b"".join(context))
        dockerfile = files.pop("Dockerfile").decode().splitlines()
        base = dockerfile[0].removeprefix("FROM ")
        return FakeBuild(self, base, files, {**labels, OWNER: self.owner}, tag, dockerfile)

    def save(self, engine_id: str) -> Iterator[bytes]:
        self._answer()
        key = self.id_of(engine_id)
        if key not in self.images:
            raise ImageMissing(f"No such image: {engine_id}")
        image = self.images[key]
        # Like `docker save`: a name that it is asked by travels with it, and no other.
        names = [engine_id] if engine_id in image.names else []
        packed = _packed(image, names)
        for start in range(0, len(packed), 1000):
            self._answer()
            yield packed[start : start + 1000]

    def load(self, stream: Iterable[bytes]) -> None:
        self._answer()
        blob = b"".join(stream)
        if self.disk_full:
            raise HostRefused(FULL)
        self.loads += 1
        self._add(*_image(blob))

    def push(self, engine_id: str, repository: str) -> str:
        self._answer()
        image = self.images[engine_id]
        self._require_ours(image)
        blob = _packed(image, [])
        reference = f"{repository}@sha256:{hashlib.sha256(blob).hexdigest()}"
        self.registry.content[reference] = blob
        return reference

    def pull(self, reference: str) -> None:
        self._answer()
        if reference not in self.registry.content:
            raise HostRefused(f"manifest for {reference} not found")
        self.pulls += 1
        image, _ = _image(self.registry.content[reference])
        self._add(image, [reference])

    def ours(self) -> list[StoredImage]:
        self._answer()
        return [
            StoredImage(image.labels.get("slipway.image", ""), key, 1000, key in self.used)
            for key, image in self.images.items()
            if image.labels.get(OWNER) == self.owner
        ]

    def remove_image(self, engine_id: str) -> None:
        self._answer()
        if engine_id not in self.images:
            return
        self._require_ours(self.images[engine_id])
        if engine_id in self.used or engine_id in self.stubborn:
            raise HostRefused("conflict: unable to delete, image is being used")
        del self.images[engine_id]

    def add_strangers_image(self) -> str:
        """Somebody else's, under a name that could be ours."""
        image = StoredFake("scratch", {OWNER: "somebody"}, {"a": b"stranger"}, {"slipway/x:1"})
        self.images[image.engine_id] = image
        return image.engine_id

    def _add(self, image: StoredFake, names: Iterable[str]) -> str:
        kept = self.images.setdefault(image.engine_id, image)
        kept.names |= set(names)
        return kept.engine_id

    def _require_ours(self, image: StoredFake) -> None:
        if image.labels.get(OWNER) != self.owner:
            raise HostRefused("The image is not one that this Slipway has built.")

    def _answer(self) -> None:
        if self.silent:
            raise HostSilent("The fake Engine is silent.")
        if self.fail_with:
            raise self.fail_with.pop(0)


class FakeBuild:
    def __init__(
        self,
        store: FakeImageStore,
        base: str,
        files: dict[str, bytes],
        labels: dict[str, str],
        tag: str,
        steps: list[str],
    ) -> None:
        self._store = store
        self._image = StoredFake(base, labels, files, {tag})
        self._steps = steps
        self._problem = ""

    def __iter__(self) -> Iterator[str]:
        store = self._store
        for number, step in enumerate(self._steps, 1):
            yield f"Step {number}/{len(self._steps)} : {step}"
            store.on_build()
            store._answer()
            if self._image.base not in store.bases:
                self._problem = f"pull access denied for {self._image.base}"
            if store.disk_full:
                self._problem = FULL
            if self._problem:
                yield self._problem
                return
        store.builds += 1
        names = self._image.names
        self._image.names = set()
        yield f"Successfully built {store._add(self._image, names)[7:19]}"

    def result(self) -> str:
        if self._problem:
            raise HostRefused(self._problem)
        return self._image.engine_id


def _unpacked(blob: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def _packed(image: StoredFake, names: Iterable[str]) -> bytes:
    files = {name: content.hex() for name, content in image.files.items()}
    told = {"base": image.base, "labels": image.labels, "files": files, "names": list(names)}
    return json.dumps(told).encode()


def _image(blob: bytes) -> tuple[StoredFake, list[str]]:
    told = json.loads(blob)
    files = {name: bytes.fromhex(content) for name, content in told["files"].items()}
    return StoredFake(told["base"], told["labels"], files), told["names"]
