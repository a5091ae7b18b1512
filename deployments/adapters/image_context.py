"""What an Engine is sent to build a version's image: a small tar, made while it is sent.

It holds a Dockerfile, the encrypted artifact and the version manifest, and nothing else: there is
nothing secret in it, so there is none in the image.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import BinaryIO

ARTIFACT = "/slipway/artifact.slw"
MANIFEST = "/slipway/version.json"
_CHUNK = 1024 * 1024
_READABLE = 0o444


def stream(
    *, base: str, artifact: BinaryIO, artifact_size: int, manifest: bytes
) -> Iterator[bytes]:
    """The tar in pieces; the artifact is read as it goes. The same input gives the same bytes, so
    that an Engine finds the layer again if it has made it before."""
    dockerfile = f"FROM {base}\nCOPY artifact.slw version.json /slipway/\n".encode()
    yield _entry("Dockerfile", len(dockerfile)) + _padded(dockerfile)
    yield _entry("version.json", len(manifest)) + _padded(manifest)
    yield _entry("artifact.slw", artifact_size)
    left = artifact_size
    while left:
        chunk = artifact.read(min(_CHUNK, left))
        if not chunk:
            raise ValueError("the artifact is shorter than it was said to be")
        left -= len(chunk)
        yield chunk
    yield b"\0" * (-artifact_size % tarfile.BLOCKSIZE) + b"\0" * (2 * tarfile.BLOCKSIZE)


def _entry(name: str, size: int) -> bytes:
    """A file of nobody's and no time: neither is part of what is built."""
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = _READABLE
    return member.tobuf(tarfile.GNU_FORMAT)


def _padded(content: bytes) -> bytes:
    return content + b"\0" * (-len(content) % tarfile.BLOCKSIZE)
