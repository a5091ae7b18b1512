"""Which program part answers which connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from importlib import import_module
from typing import Any, cast

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Envoy's REST paths are fixed: /v3/discovery:clusters and so on, without any prefix before them.
XDS_PREFIX = "/v3/discovery:"
XDS_APPLICATION = "deployments.xds.default:app"
WEBSOCKET_PATTERNS = "frontend.routing:websocket_urlpatterns"


@cache
def _named(dotted: str) -> Any:
    module, _, name = dotted.partition(":")
    return getattr(import_module(module), name)


@cache
def _django() -> Application:
    return cast(Application, get_asgi_application())


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
