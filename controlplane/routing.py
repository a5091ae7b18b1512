"""Which program part answers which connection."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import cache
from importlib import import_module
from typing import Any, cast

from channels.auth import AuthMiddlewareStack
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import parse_cookie
from django.http.request import split_domain_port, validate_host

from core.api.body_limit import BodyLimit, Limit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Envoy's REST paths are fixed: /v3/discovery:clusters and so on, without any prefix before them.
XDS_PREFIX = "/v3/"
XDS_APPLICATION = "deployments.xds.default:app"
UPLOADS = re.compile(r"(?:/api/v1)?/models/[^/]+/versions")
ROOM_FOR_FIELDS = 1024 * 1024
# Above what Django itself takes into memory, so that its own refusal is the usual one.
_OTHER_BODIES = 4 * 1024 * 1024
_PLAIN_POLL_SECONDS = 1.0
WEBSOCKET_PATTERNS = "frontend.routing:websocket_urlpatterns"


@cache
def _named(dotted: str) -> Any:
    module, _, name = dotted.partition(":")
    return getattr(import_module(module), name)


@cache
def _django() -> Application:
    return BodyLimit(cast(Application, get_asgi_application()), body_limit)


async def body_limit(scope: Scope) -> Limit:
    """Artifacts may be large, for whoever is somebody; nothing else is. Asked before the body is
    read, because Django stores all of it before it asks: a stranger would fill the disk."""
    upload = scope["method"] == "POST" and UPLOADS.fullmatch(scope["path"])
    if upload and await _from_somebody(scope):
        size = settings.CONFIG.max_artifact_bytes + ROOM_FOR_FIELDS
        return Limit(size, code="artifact:too-large")
    return Limit(_OTHER_BODIES)


async def _from_somebody(scope: Scope) -> bool:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    cookies = parse_cookie(headers.get(b"cookie", ""))
    ask = database_sync_to_async(_named("governance.selectors.callers:is_somebody"))
    return bool(
        await ask(
            authorization=headers.get(b"authorization", ""),
            session_key=cookies.get(settings.SESSION_COOKIE_NAME, ""),
        )
    )


@cache
def _websockets() -> Application:
    """Only pages of our own origin, and only with the session that those pages have."""
    application: Application = AuthMiddlewareStack(URLRouter(_named(WEBSOCKET_PATTERNS)))
    denied: Application = WebsocketDenier.as_asgi()

    async def of_our_pages(scope: Scope, receive: Receive, send: Send) -> None:
        own = is_our_origin(scope["headers"])
        await (application if own else denied)(scope, receive, send)

    return of_our_pages


def is_our_origin(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the page that opens a socket came from here, port included: a browser sends our
    cookies to every port of a host, so another program's page on this machine has them too."""
    found = {name: value.decode("latin-1") for name, value in headers}
    origin, host = found.get(b"origin", "").lower(), found.get(b"host", "").lower()
    if origin in {trusted.lower().rstrip("/") for trusted in settings.CSRF_TRUSTED_ORIGINS}:
        return True
    known = validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)
    return known and origin in (f"http://{host}", f"https://{host}")


def is_plain(scope: Scope) -> bool:
    """Whether somebody on the way could read this request. Behind a proxy that does TLS it is the
    proxy that says so."""
    if scope.get("scheme") == "https":
        return False
    said = dict(scope["headers"]).get(b"x-forwarded-proto", b"")
    return not (settings.CONFIG.behind_tls_proxy and said == b"https")


async def _xds(scope: Scope, receive: Receive, send: Send) -> None:
    """A poll carries the gateway's token, and the answer the secrets of its environment."""
    if scope["type"] == "http" and settings.PRODUCTION and is_plain(scope):
        await asyncio.sleep(_PLAIN_POLL_SECONDS)  # Envoy asks again within milliseconds
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await send({"type": "http.response.body", "body": b"Gateways ask web over TLS only.\n"})
        return
    await _named(XDS_APPLICATION)(scope, receive, send)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """xDS takes neither a thread nor a database connection while it holds a poll, so it goes past
    Django. The server's start and stop are xDS' as well: nothing else here has any."""
    kind = scope["type"]
    if kind == "websocket":
        await _websockets()(scope, receive, send)
    elif kind == "lifespan" or (kind == "http" and scope["path"].startswith(XDS_PREFIX)):
        await _xds(scope, receive, send)
    else:
        await _django()(scope, receive, send)
