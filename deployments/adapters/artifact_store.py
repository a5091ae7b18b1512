"""Artifacts by the SHA-256 of their bytes, kept through Django's storage API.

Nothing is read without being checked against its digest first: a stored file that was changed or
cut off is reported as Broken and never handed on.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

import structlog
from django.core.files import File
from django.core.files.storage import default_storage

from core import ids
from core.errors import Broken, Unavailable
from deployments.models import Artifact

log = structlog.get_logger(__name__)

CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in the storage that no row names yet, or that one does."""

    digest: str
    size: int
    name: str


def digest_of(file: IO[bytes]) -> tuple[str, int]:
    """Digest and size of what is left to read."""
    return _copy(file, None)


def put(path: Path, digest: str) -> Stored:
    """Store the file at `path` under a name that no other call uses, and check what was stored.

    The caller records it with a row or takes it back with `discard`. That names are never shared
    makes both safe while others store the same bytes.

    Raises:
        Broken: the bytes at `path` are not those of `digest`.
        Unavailable: the storage does not take the file.
    """
    plain = digest.removeprefix("sha256:")
    try:
        with path.open("rb") as file:
            name = default_storage.save(f"sha256/{plain[:2]}/{plain}-{ids.new_ulid()}", File(file))
    except OSError as problem:
        raise Unavailable(
            "The artifact could not be stored.", code="artifact:storage-unavailable"
        ) from problem
    stored = Stored(digest, path.stat().st_size, name)
    if _reads_as(name) != digest:
        discard(name)
        raise Broken("The artifact changed while it was stored.", code="artifact:corrupted")
    return stored


def discard(name: str) -> None:
    """Delete a file that no row names. A file that cannot be deleted is left and logged."""
    try:
        default_storage.delete(name)
    except OSError as problem:
        log.warning("artifact_not_deleted", name=name, problem=str(problem))


def is_sound(artifact: Artifact) -> bool:
    """Whether the stored file still is what its digest says."""
    return _reads_as(artifact.storage_name) == artifact.digest


@contextmanager
def open_verified(digest: str) -> Iterator[BinaryIO]:
    """The artifact's bytes, checked before the first of them is handed out.

    They are read from a private copy, so that nothing can change them after the check.

    Raises:
        Broken: `artifact:missing` or `artifact:corrupted`.
    """
    with tempfile.TemporaryFile() as copy:
        _copy_verified(digest, copy)
        copy.seek(0)
        yield copy


def materialize(digest: str, folder: Path) -> Path:
    """A verified, read-only copy of the artifact in `folder`. One that is there already is checked
    again and reused.

    Raises:
        Broken: `artifact:missing` or `artifact:corrupted`.
    """
    path = folder / f"{digest.removeprefix('sha256:')}.onnx"
    with suppress(FileNotFoundError), path.open("rb") as present:
        if digest_of(present)[0] == digest:
            return path
    draft = folder / f".{path.name}.{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o400), "w+b") as file:
            _copy_verified(digest, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _copy_verified(digest: str, into: IO[bytes]) -> None:
    try:
        name = Artifact.objects.values_list("storage_name", flat=True).get(digest=digest)
        with default_storage.open(name) as stored:
            found, _ = _copy(stored, into)
    except (Artifact.DoesNotExist, FileNotFoundError):
        raise Broken(f"The artifact {digest} is missing.", code="artifact:missing") from None
    if found != digest:
        into.seek(0)
        into.truncate()
        log.error("artifact_corrupted", digest=digest, found=found)
        raise Broken(
            f"The stored artifact {digest} is corrupted; it is not used. Upload the file again.",
            code="artifact:corrupted",
        )


def _reads_as(name: str) -> str | None:
    try:
        with default_storage.open(name) as file:
            return digest_of(file)[0]
    except OSError:
        return None


def _copy(source: IO[bytes], into: IO[bytes] | None) -> tuple[str, int]:
    seen, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        seen.update(chunk)
        size += len(chunk)
        if into is not None:
            into.write(chunk)
    return f"sha256:{seen.hexdigest()}", size
