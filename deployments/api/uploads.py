"""Receiving an artifact: a multipart body that streams to a file, bounded and checked."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import IO, Any, cast

from django.http.multipartparser import MultiPartParser, MultiPartParserError
from rest_framework.parsers import BaseParser, DataAndFiles

from core.errors import Invalid, Malformed
from core.uploads import PrivateUploads
from deployments.services import intake

_CHUNK = 256 * 1024
# What a multipart body holds besides the file: boundaries, headers and a few fields.
ROOM_FOR_FIELDS = 1024 * 1024
_MEMBER = re.compile(r"\s*([a-z][a-z0-9_.*-]*)=:([0-9A-Za-z+/=]*):\s*")
_ALGORITHMS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}


class ArtifactParser(BaseParser):
    """multipart/form-data. A file over the limit ends the reading at once (`artifact:too-large`);
    a body that is not what its Content-Digest says is refused."""

    media_type = "multipart/form-data"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> DataAndFiles[Any, Any]:
        request = (parser_context or {})["request"]
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdigit():
            intake.check_size(int(length) - ROOM_FOR_FIELDS)
        body = _Hashed(stream, _declared(request.headers.get("Content-Digest", "")))
        meta = {**request.META, "CONTENT_TYPE": media_type or request.content_type}
        try:
            fields, files = MultiPartParser(
                meta, cast(Any, body), [_Limited(request)], "utf-8"
            ).parse()
        except (MultiPartParserError, UnicodeError) as problem:
            raise Malformed(
                f"The multipart body cannot be read: {str(problem)[:200]}.",
                code="invalid_multipart",
            ) from problem
        body.require_declared()
        return DataAndFiles(fields, files)


class _Limited(PrivateUploads):
    """Counts the bytes of all files together. The parser closes, and so deletes, what an error
    leaves behind."""

    received = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        self.received += len(raw_data)
        intake.check_size(self.received)
        return super().receive_data_chunk(raw_data, start)


class _Hashed:
    """A stream that remembers the digests of what was read from it."""

    def __init__(self, stream: IO[bytes], declared: Mapping[str, bytes]) -> None:
        self._stream = stream
        self._declared = declared
        self._hashes = {name: _ALGORITHMS[name]() for name in declared}

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        for seen in self._hashes.values():
            seen.update(chunk)
        return chunk

    def require_declared(self) -> None:
        """Raises Invalid when the body is not what the sender said it is."""
        if not self._declared:
            return
        while self.read(_CHUNK):
            pass
        for name, expected in self._declared.items():
            if self._hashes[name].digest() != expected:
                raise Invalid(
                    f"The body that arrived is not the one that Content-Digest ({name}) names;"
                    " send it again.",
                    code="content_digest_mismatch",
                )


def _declared(header: str) -> dict[str, bytes]:
    """RFC 9530: the digests in the header that we can check; others are ignored, as it says.

    Raises:
        Malformed: the header is no dictionary of byte sequences.
    """
    found: dict[str, bytes] = {}
    for member in filter(None, (part.strip() for part in header.split(","))):
        match = _MEMBER.fullmatch(member)
        try:
            if match is None:
                raise ValueError("no member of a dictionary")
            value = base64.b64decode(match[2], validate=True)
        except (ValueError, binascii.Error) as problem:
            raise Malformed(
                "Content-Digest reads like sha-256=:<base64>:.", code="invalid_content_digest"
            ) from problem
        if match[1] in _ALGORITHMS:
            found[match[1]] = value
    return found
