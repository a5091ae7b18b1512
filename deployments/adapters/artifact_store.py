"""Artifacts by the SHA-256 of their bytes, encrypted (`wire.envelope`), kept through Django's
storage API.

Each artifact has a key of its own, which its row holds wrapped by the control plane's. Nothing is
handed on without being checked first: a stored file that was changed or cut off is reported as
Broken. What an earlier Slipway has stored plain is encrypted when it is first used.
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
from typing import IO, Any, BinaryIO

import structlog
from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage

from core import ids, scratch
from core.errors import Broken, Unavailable
from deployments.models import Artifact
from wire import envelope
from wire.errors import Unreadable

log = structlog.get_logger(__name__)

PURPOSE = "artifacts"
"""Of the control plane's key that wraps the artifacts' keys."""
SUFFIX = ".slw"


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in the storage that no row names yet, or that one does. `digest` and `size` are of
    the plain bytes, `stored_digest` is of the file."""

    digest: str
    size: int
    name: str
    stored_digest: str
    wrapped_key: str

    def columns(self) -> dict[str, str]:
        """What a row says of where and how the artifact is stored."""
        return {
            "storage_name": self.name,
            "stored_digest": self.stored_digest,
            "wrapped_key": self.wrapped_key,
        }


def digest_of(file: IO[bytes]) -> tuple[str, int]:
    """Digest and size of what is left to read."""
    return _copy(file, None)


def put(path: Path, digest: str) -> Stored:
    """Encrypt the file at `path` into the storage, under a name that no other call uses, and check
    what was stored.

    The caller records it with a row or takes it back with `discard`. That names are never shared
    makes both safe while others store the same bytes. Bytes that are known keep their key, so that
    images which were built of them can still be read.

    Raises:
        Broken: the bytes at `path` are not those of `digest`.
        Unavailable: the storage does not take the file.
    """
    known = Artifact.objects.filter(digest=digest).first()
    with path.open("rb") as file:
        return _put(file, digest, _opened_key(known) or envelope.new_key())


def discard(name: str) -> None:
    """Delete a file that no row names. A file that cannot be deleted is left and logged."""
    try:
        default_storage.delete(name)
    except OSError as problem:
        log.warning("artifact_not_deleted", name=name, problem=str(problem))


def is_sound(artifact: Artifact) -> bool:
    """Whether the stored file still is what its row says, encrypted, and can be opened."""
    readable = _opened_key(artifact) is not None
    return readable and _reads_as(artifact.storage_name) == artifact.stored_digest


def encrypted(digest: str) -> Artifact:
    """The artifact's row. A file that still lies there plain is encrypted first; outside of
    transactions only, because that takes as long as the file is large.

    Raises:
        Broken: `artifact:missing` or `artifact:corrupted`.
    """
    artifact = _row(digest)
    if artifact.wrapped_key:
        return artifact
    with _stored(artifact) as plain:
        new = _put(plain, digest, envelope.new_key())
    changed = Artifact.objects.filter(pk=digest, wrapped_key="").update(**new.columns())
    discard(artifact.storage_name if changed else new.name)
    return _row(digest)


def key_of(artifact: Artifact) -> bytes:
    """What decrypts it.

    Raises:
        Broken: `keys:not-opened`.
    """
    return settings.KEYS.unseal(PURPOSE, artifact.wrapped_key, artifact.digest)


@contextmanager
def open_verified(digest: str) -> Iterator[BinaryIO]:
    """The artifact's plain bytes, checked before the first of them is handed out.

    They are read from a private copy without a name, so that nothing can change them after the
    check, and nothing of them is left.

    Raises:
        Broken: `artifact:missing`, `artifact:corrupted` or `keys:not-opened`.
    """
    artifact = encrypted(digest)
    with tempfile.TemporaryFile(dir=scratch.folder()) as copy:
        try:
            with _stored(artifact) as stored:
                envelope.decrypt(stored, copy, key_of(artifact), digest=digest)
        except Unreadable as problem:
            raise _corrupted(digest, problem.code) from problem
        copy.seek(0)
        yield copy


@contextmanager
def ciphertext(digest: str) -> Iterator[BinaryIO]:
    """The artifact as it is stored, for an image: a private copy that was checked.

    Raises:
        Broken: `artifact:missing` or `artifact:corrupted`.
    """
    with tempfile.TemporaryFile(dir=scratch.folder()) as copy:
        _copy_checked(encrypted(digest), copy)
        copy.seek(0)
        yield copy


def materialize(digest: str, folder: Path) -> Path:
    """A checked, read-only copy of the encrypted artifact in `folder`. One that is there already
    is checked again and reused.

    Raises:
        Broken: `artifact:missing` or `artifact:corrupted`.
    """
    artifact = encrypted(digest)
    path = folder / f"{digest.removeprefix('sha256:')}{SUFFIX}"
    with suppress(FileNotFoundError), path.open("rb") as present:
        if digest_of(present)[0] == artifact.stored_digest:
            return path
    draft = folder / f".{path.name}.{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o400), "w+b") as file:
            _copy_checked(artifact, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _put(plain: IO[bytes], digest: str, key: bytes) -> Stored:
    hexadecimal = digest.removeprefix("sha256:")
    wanted = f"sha256/{hexadecimal[:2]}/{hexadecimal}-{ids.new_ulid()}{SUFFIX}"
    sealing = _Sealing(plain, key, digest)
    try:
        name = default_storage.save(wanted, sealing)
    except Unreadable as problem:
        discard(wanted)  # what was written of it before the difference showed
        raise _corrupted(digest, problem.code) from problem
    except OSError as problem:
        discard(wanted)
        raise Unavailable(
            "The artifact could not be stored.", code="artifact:storage-unavailable"
        ) from problem
    if _reads_as(name) != sealing.stored_digest:
        discard(name)
        raise Broken("The artifact changed while it was stored.", code="artifact:corrupted")
    wrapped = settings.KEYS.seal(PURPOSE, key, digest)
    return Stored(digest, sealing.plain_size, name, sealing.stored_digest, wrapped)


class _Sealing(File):  # type: ignore[type-arg]
    """What a storage saves of a plain file: its envelope, made while it is read."""

    def __init__(self, plain: IO[bytes], key: bytes, digest: str) -> None:
        super().__init__(plain)
        self._plain = plain
        self._key = key
        self._digest = digest
        self.plain_size = 0
        self.stored_digest = ""

    def chunks(self, chunk_size: int | None = None) -> Iterator[Any]:
        seen = hashlib.sha256()
        for piece in envelope.pieces(self._plain, self._key, digest=self._digest):
            seen.update(piece)
            yield piece
        self.plain_size = self._plain.tell()
        self.stored_digest = f"sha256:{seen.hexdigest()}"


def _row(digest: str) -> Artifact:
    try:
        return Artifact.objects.get(digest=digest)
    except Artifact.DoesNotExist:
        raise _missing(digest) from None


@contextmanager
def _stored(artifact: Artifact) -> Iterator[IO[bytes]]:
    """The file of this row, or of the row as it is by now: it may have been replaced meanwhile."""
    try:
        file = default_storage.open(artifact.storage_name)
    except FileNotFoundError:
        artifact.refresh_from_db()
        try:
            file = default_storage.open(artifact.storage_name)
        except FileNotFoundError:
            raise _missing(artifact.digest) from None
    with file:
        yield file


def _copy_checked(artifact: Artifact, into: IO[bytes]) -> None:
    with _stored(artifact) as stored:
        found, _ = _copy(stored, into)
    if found != artifact.stored_digest:
        into.seek(0)
        into.truncate()
        raise _corrupted(artifact.digest, found)


def _opened_key(artifact: Artifact | None) -> bytes | None:
    """Its key; None when it has none yet, or none that opens any more."""
    if artifact is None or not artifact.wrapped_key:
        return None
    try:
        return key_of(artifact)
    except Broken:
        log.error("artifact_key_lost", digest=artifact.digest)
        return None


def _reads_as(name: str) -> str | None:
    try:
        with default_storage.open(name) as file:
            return digest_of(file)[0]
    except OSError:
        return None


def _copy(source: IO[bytes], into: IO[bytes] | None) -> tuple[str, int]:
    seen, size = hashlib.sha256(), 0
    while chunk := source.read(envelope.CHUNK):
        seen.update(chunk)
        size += len(chunk)
        if into is not None:
            into.write(chunk)
    return f"sha256:{seen.hexdigest()}", size


def _missing(digest: str) -> Broken:
    return Broken(f"The artifact {digest} is missing.", code="artifact:missing")


def _corrupted(digest: str, found: str) -> Broken:
    log.error("artifact_corrupted", digest=digest, found=found)
    return Broken(
        f"The stored artifact {digest} is corrupted; it is not used. Upload the file again.",
        code="artifact:corrupted",
    )
