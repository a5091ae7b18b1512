"""The images that an Engine holds: made, brought, found and removed.

Only images with this Slipway's ownership label are listed, pushed or removed; whatever else is on
the Engine is somebody's, whatever it is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, cast

from deployments.adapters.docker_client import STALL_SECONDS, Engine, text_of
from deployments.ports import Build, HostRefused, ImageMissing, StoredImage

OWNER = "slipway.owner"
IMAGE = "slipway.image"
TAG = "slipway.tag"
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DockerImages:
    """Implements ports.ImageStore. `owner` is this installation's id."""

    engine: Engine
    owner: str

    def id_of(self, reference: str) -> str:
        try:
            return str(self._inspect(reference)["Id"])
        except ImageMissing:
            return ""

    def build(self, context: Iterable[bytes], *, tag: str, labels: Mapping[str, str]) -> Build:
        with self.engine.talk():
            entries = self.engine.patient.build(
                fileobj=cast("IO[bytes]", _Chunks(context)),
                custom_context=True,
                tag=tag,
                labels={**labels, OWNER: self.owner, TAG: tag},
                network_mode="none",
                use_config_proxy=False,
                rm=True,
                forcerm=True,
                decode=True,
                timeout=int(STALL_SECONDS),
            )
        return DockerBuild(self.engine, entries)

    def save(self, engine_id: str) -> Iterator[bytes]:
        self._inspect(engine_id)  # the Engine calls a missing one an error of its own
        with self.engine.talk():
            client = self.engine.patient
            # Not the SDK's `get_image`: it takes the time limit off its socket.
            url = f"{client.base_url}/v{client.api_version}/images/{engine_id}/get"
            with client.get(url, stream=True, timeout=STALL_SECONDS) as answer:
                client._raise_for_status(answer)  # type: ignore[attr-defined]
                yield from answer.iter_content(_CHUNK)

    def load(self, stream: Iterable[bytes]) -> None:
        with self.engine.talk():
            _require_no_error(self.engine.patient.load_image(iter(stream)))  # type: ignore[no-untyped-call]

    def push(self, engine_id: str, repository: str) -> str:
        self._require_ours(self._inspect(engine_id))
        name = engine_id.removeprefix("sha256:")[:32]
        with self.engine.talk():
            client = self.engine.patient
            client.tag(engine_id, repository, name)
            digest = ""
            for entry in client.push(repository, name, stream=True, decode=True):
                _require_no_error([entry])
                digest = entry.get("aux", {}).get("Digest", digest)
            client.remove_image(f"{repository}:{name}", noprune=True)
        if not digest:
            raise HostRefused(f"The Engine pushed to {repository} and named no digest.")
        return f"{repository}@{digest}"

    def pull(self, reference: str) -> None:
        with self.engine.talk():
            _require_no_error(self.engine.patient.pull(reference, stream=True, decode=True))

    def ours(self) -> list[StoredImage]:
        mine = {"label": f"{OWNER}={self.owner}"}
        with self.engine.talk():
            images = self.engine.quick.images(filters=mine)
            used = {each["ImageID"] for each in self.engine.quick.containers(all=True)}
        return [
            StoredImage(
                image=text_of(each.get("Labels"), IMAGE),
                engine_id=each["Id"],
                size=int(each.get("Size", 0)),
                in_use=each["Id"] in used,
            )
            for each in images
        ]

    def remove_image(self, engine_id: str) -> None:
        """By its names, one after the other: the last one takes the image with it. A name that
        somebody else has given it keeps it."""
        try:
            found = self._inspect(engine_id)
        except ImageMissing:
            return
        self._require_ours(found)
        labels = found["Config"].get("Labels")
        mine = {text_of(labels, TAG)}
        if foreign := [tag for tag in found.get("RepoTags") or () if tag not in mine]:
            raise HostRefused(f"The image has another name that is not ours: {foreign[0]}.")
        with self.engine.talk():
            client = self.engine.patient
            if client.containers(all=True, filters={"ancestor": engine_id}):
                raise HostRefused("A container was made from the image, or from one based on it.")
        names = [*(found.get("RepoDigests") or ()), *(found.get("RepoTags") or ())]
        for name in names or [engine_id]:
            # The Engine itself drops the digests of a repository with its last tag.
            with suppress(ImageMissing), self.engine.talk():
                client.remove_image(name)

    def _inspect(self, reference: str) -> dict[str, Any]:
        with self.engine.talk():
            found: dict[str, Any] = self.engine.quick.inspect_image(reference)  # type: ignore[no-untyped-call]
        return found

    def _require_ours(self, found: Mapping[str, Any]) -> None:
        if text_of(found["Config"].get("Labels"), OWNER) != self.owner:
            raise HostRefused("The image is not one that this Slipway has built.")


class DockerBuild:
    """Implements ports.Build. Letting go of it before its end cancels the build."""

    def __init__(self, engine: Engine, entries: Iterable[dict[str, Any]]) -> None:
        self._engine = engine
        self._entries = entries
        self._built = ""
        self._problem = ""

    def __iter__(self) -> Iterator[str]:
        try:
            with self._engine.talk():
                for entry in self._entries:
                    self._built = entry.get("aux", {}).get("ID", self._built)
                    self._problem = _problem(entry) or self._problem
                    yield from _lines(entry)
        except HostRefused as problem:
            self._problem = problem.detail
            yield problem.detail

    def result(self) -> str:
        if self._problem or not self._built:
            raise HostRefused(self._problem or "The Engine ended the build without an image.")
        return self._built


class _Chunks:
    """What the HTTP client sends piece by piece; a bare generator it would take for a list."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)


def _lines(entry: Mapping[str, Any]) -> Iterator[str]:
    for name in ("stream", "status", "error"):
        for line in str(entry.get(name, "")).splitlines():
            if line.strip():
                yield line.rstrip()


def _problem(entry: Mapping[str, Any]) -> str:
    return str(entry.get("errorDetail", {}).get("message") or entry.get("error") or "")


def _require_no_error(entries: Iterable[Mapping[str, Any]]) -> None:
    for entry in entries:
        if problem := _problem(entry):
            raise HostRefused(problem)
