"""The API's description: OpenAPI 3.1, made from the views, and a page that shows it offline."""

from __future__ import annotations

import inspect
import re
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.utils import OpenApiParameter

from core.api.problems import CONTENT_TYPE, ProblemShape
from governance.api.permissions import declared
from governance.domain.catalogue import CATALOGUE, PUBLIC
from governance.domain.declare import declares

_ALWAYS = (400, 401, 403, 404, 405, 406, 422, 429, 500, 503)
_WITH_BODY = (409, 413, 415)
_WITH_ETAG = (412, 428)
_MEANING = {
    400: "The request cannot be understood.",
    401: "Nobody is signed in, or the token is not valid.",
    403: "Whoever asks may not do this.",
    404: "It does not exist, or is not visible to whoever asks.",
    405: "This address does not take this method.",
    406: "Only JSON can be answered.",
    409: "Not possible in the present state.",
    412: "It has changed since it was read.",
    413: "The body is too large.",
    415: "This media type is not read here.",
    422: "The request was understood and is not valid.",
    428: "If-Match is missing.",
    429: "Too many requests; see Retry-After.",
    500: "An error on our side.",
    503: "Not available right now; see Retry-After.",
}
_IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]{1,255}$"},
    OpenApiParameter.HEADER,
    description="At most 255 printable characters. A repeated request with the same key is "
    "answered with what the first one was answered, for 24 hours.",
)
_IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag that was last read, or `*`.",
)


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """API tokens, as clients send them."""

    target_class = "governance.api.authentication.TokenAuthentication"
    name = "token"
    priority = 1

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        del auto_schema
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "slw_…",
            "description": "An API token of Slipway, made on the page of your account or by "
            "POST /tokens.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The browser's session; changes also need its CSRF token in `X-CSRFToken`."""

    target_class = "governance.api.authentication.SessionAuthentication"
    name = "session"
    priority = 1

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        del auto_schema
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


class Schema(AutoSchema):
    """Names operations by method and path, and documents every refusal as problem+json."""

    def get_operation_id(self) -> str:
        words = [
            f"by_{part.strip('{}')}" if part.startswith("{") else part.replace("-", "_")
            for part in self._tokenize_path_with_variables()
        ]
        return "_".join([self.method.lower(), *words])

    def get_summary(self) -> str | None:
        given: str | None = super().get_summary()
        action = CATALOGUE.get(declared(self.view, self.method) or "")
        return given or (action.title if action else None)

    def get_description(self) -> str:  # type: ignore[override]
        """What the handler or its own class says; the base class' words are for developers."""
        handler = getattr(self.view, self.method.lower(), None)
        own = vars(type(self.view)).get("__doc__")
        return inspect.cleandoc(getattr(handler, "__doc__", None) or own or "")

    def get_serializer_name(self, serializer: Any, direction: Any) -> str:
        name: str = super().get_serializer_name(serializer, direction)
        return name.removesuffix("Shape")

    def get_tags(self) -> list[str]:
        return [self._tokenize_path_with_variables()[0]]

    def get_auth(self) -> list[dict[str, Any]]:
        if declared(self.view, self.method) == PUBLIC:
            return []
        auth: list[dict[str, Any]] = super().get_auth()
        return auth

    def get_override_parameters(self) -> list[Any]:
        parameters = [*super().get_override_parameters()]
        if self.method == "POST":
            parameters.append(_IDEMPOTENCY_KEY)
        if self._takes_etag():
            parameters.append(_IF_MATCH)
        return parameters

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        shape = self.resolve_serializer(ProblemShape, "response").ref
        for status in self._refusals():
            operation["responses"].setdefault(
                str(status),
                {"description": _MEANING[status], "content": {CONTENT_TYPE: {"schema": shape}}},
            )
        return operation

    def _refusals(self) -> tuple[int, ...]:
        body = _WITH_BODY if self.method != "GET" else ()
        return _ALWAYS + body + (_WITH_ETAG if self._takes_etag() else ())

    def _takes_etag(self) -> bool:
        return self.method in getattr(self.view, "etag_methods", ("PATCH", "PUT", "DELETE"))

    def _tokenize_path_with_variables(self) -> list[str]:
        path = re.sub(self.path_prefix, "", self.path)
        return [part for part in path.split("/") if part]


@cache
def document() -> bytes:
    """The description, made once per process: the code does not change while it runs."""
    schema = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    rendered: bytes = OpenApiJsonRenderer2().render(schema, renderer_context={})
    return rendered


@declares(PUBLIC)
@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    del request
    return HttpResponse(document(), content_type="application/json")


@declares(PUBLIC)
@require_safe
def swagger(request: HttpRequest) -> HttpResponse:
    """Swagger UI from our own files, under the same strict policy as every page."""
    return render(request, "controlplane/swagger.html")
