"""What a request says about itself, made safe to store and to log."""

from __future__ import annotations

import re

from django.http import HttpRequest

from core import ids

_REQUEST_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


def request_id_of(request: HttpRequest) -> str:
    """The id that the middleware gave, or one made now for a request that it never saw."""
    known = getattr(request, "request_id", None)
    if not isinstance(known, str):
        known = acceptable_id(request.headers.get("X-Request-Id", ""))
        request.request_id = known  # type: ignore[attr-defined]
    return known


def acceptable_id(offered: str) -> str:
    """The caller's own id when it is short and plain, a new one otherwise."""
    return offered if _REQUEST_ID.fullmatch(offered) else f"req_{ids.new_ulid()}"


def client_address(request: HttpRequest, *, trusted_proxies: int) -> str:
    """Where the request comes from. Each trusted proxy appends the address it saw, so the last
    `trusted_proxies` entries are true and all before them is whatever the client wrote."""
    direct = str(request.META.get("REMOTE_ADDR", ""))
    if trusted_proxies < 1:
        return direct
    forwarded = [
        part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part
    ]
    return forwarded[-trusted_proxies] if len(forwarded) >= trusted_proxies else direct
