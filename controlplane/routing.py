"""Which program part answers which connection."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from importlib import import_module
from typing import Any, cast

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings
from django.core.asgi import get_asgi_application

from core.api.body_limit import BodyLimit, Limit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Envoy's REST paths are fixed: /v3/discovery:clusters and so on, without any prefix before them.
XDS_PREFIX = "/v3/discovery:"
XDS_APPLICATION = "deployments.xds.default:app"
UPLOADS = re.compile(r"(?:/api/v1)?/models/[^/]+/versions")
ROOM_FOR_FIELDS = 1024 * 1024
# Above what Django itself takes into memory, so that its own refusal is the usual one.
_OTHER_BODIES = 4 * 1024 * 1024
WEBSOCKET_PATTERNS = "frontend.routing:websocket_urlpatterns"


@cache
def _named(dotted: str) -> Any:
    module, _, name = dotted.partition(":")
    return getattr(import_module(module), name)


@cache
def _django() -> Application:
    return BodyLimit(cast(Application, get_asgi_application()), body_limit)


def body_limit(scope: Scope) -> Limit:
    """Artifacts may be large, for whoever shows at least some credentials; nothing else is."""
    shown = {name for name, _ in scope["headers"]} & {b"authorization", b"cookie"}
    if shown and scope["method"] == "POST" and UPLOADS.fullmatch(scope["path"]):
        size = settings.CONFIG.max_artifact_bytes + ROOM_FOR_FIELDS
        return Limit(size, code="artifact:too-large")
    return Limit(_OTHER_BODIES)


@cache
def _websockets() -> Application:
    """Only pages of our own origin, and only with the session that those pages have."""
    application: Application = AllowedHostsOriginValidator(
        AuthMiddlewareStack(URLRouter(_named(WEBSOCKET_PATTERNS)))
    )
    return application


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """xDS takes neither a thread nor a database connection while it holds a poll, so it goes past
    Django. The server's start and stop are xDS' as well: nothing else here has any."""
    kind = scope["type"]
    if kind == "websocket":
        await _websockets()(scope, receive, send)
    elif kind == "lifespan" or (kind == "http" and scope["path"].startswith(XDS_PREFIX)):
        await _named(XDS_APPLICATION)(scope, receive, send)
    else:
        await _django()(scope, receive, send)
