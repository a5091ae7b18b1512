"""Optimistic concurrency over HTTP: ETags, If-Match, If-None-Match."""

from __future__ import annotations

import re

from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import Precondition, Stale

_TAG = re.compile(r'(W/)?"([^"]*)"')


def etag(revision: int) -> str:
    return f'"v{revision}"'


def require_match(request: Request, revision: int) -> int:
    """The revision that the caller has seen: what `compare_and_set` should expect.

    `*` matches whatever is there.

    Raises:
        Precondition: If-Match is missing.
        Stale: it names another revision.
    """
    header = request.headers.get("If-Match", "").strip()
    if not header:
        raise Precondition(
            f"Send If-Match with the ETag that you last read, now {etag(revision)}, or `*`.",
            extra={"etag": etag(revision)},
        )
    if header == "*" or etag(revision) in _strong_tags(header):
        return revision
    raise stale(revision)


def stale(revision: int) -> Stale:
    """For a use-case that lost the race after the header had matched."""
    return Stale(
        f"This has changed since you read it; it is at {etag(revision)} now.",
        extra={"etag": etag(revision)},
    )


def not_modified(request: Request, revision: int) -> bool:
    """Whether the caller already has this revision, so that 304 is the answer."""
    header = request.headers.get("If-None-Match", "").strip()
    if header == "*":
        return True
    return f"v{revision}" in {value for _, value in _TAG.findall(header)}


def tagged(data: object, revision: int, *, status: int = 200) -> Response:
    """An answer that carries its ETag."""
    return Response(data, status=status, headers={"ETag": etag(revision)})


def _strong_tags(header: str) -> set[str]:
    return {f'"{value}"' for weak, value in _TAG.findall(header) if not weak}
