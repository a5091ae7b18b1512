"""A file as a multipart body that is read twice and never held: once to hash, once to send."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHUNK = 256 * 1024

Progress = Callable[[int], None]
"""Called with the bytes sent since it was last called."""


@dataclass(frozen=True, slots=True)
class Upload:
    path: Path
    head: bytes
    tail: bytes
    size: int
    sha256: str
    headers: Mapping[str, str]

    def chunks(self, progress: Progress = lambda sent: None) -> Iterator[bytes]:
        yield self.head
        for chunk in _read(self.path):
            yield chunk
            progress(len(chunk))
        yield self.tail


def prepare(path: Path, *, metadata: Mapping[str, Any], **fields: str) -> Upload:
    """Raises OSError when the file cannot be read. A field that is empty is not sent.

    The file's own digest stands in a field behind it, the body's digest in Content-Digest, so a
    body that was cut or changed on its way is refused before anything looks into it.
    """
    boundary = secrets.token_hex(16)
    name = path.name.replace('"', "_")
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="artifact"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    whole, of_file, size = hashlib.sha256(head), hashlib.sha256(), 0
    for chunk in _read(path):
        whole.update(chunk)
        of_file.update(chunk)
        size += len(chunk)
    tail = _fields(
        boundary,
        sha256=of_file.hexdigest(),
        metadata=json.dumps(dict(metadata)) if metadata else "",
        **fields,
    )
    whole.update(tail)
    headers = {
        "content-type": f"multipart/form-data; boundary={boundary}",
        "content-length": str(len(head) + size + len(tail)),
        "content-digest": f"sha-256=:{base64.b64encode(whole.digest()).decode()}:",
        "idempotency-key": secrets.token_urlsafe(24),
    }
    return Upload(path, head, tail, size, of_file.hexdigest(), headers)


def _fields(boundary: str, **values: str) -> bytes:
    parts = [
        f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'
        for name, value in values.items()
        if value
    ]
    return "".join([*parts, f"\r\n--{boundary}--\r\n"]).encode()


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
