"""The base of every API view."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Literal

from django.conf import settings
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import idempotency, ratelimit
from core.api.parsers import StrictJSONParser
from core.api.requests import client_address, request_id_of
from core.errors import Malformed

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class ApiView(APIView):
    """Declare what each method does: `actions = {"GET": "model.read", "POST": "model.create"}`.

    A POST with an Idempotency-Key runs once; `idempotency = "required"` refuses one without. It
    runs in one transaction with the record of its answer, unless `idempotency_atomic` is False:
    then the handler may work outside a transaction, and must itself be harmless when a worker
    died after its effect and the request comes again.
    """

    actions: ClassVar[Mapping[str, str]] = {}
    idempotency: ClassVar[Literal["accepted", "required"]] = "accepted"
    idempotency_atomic: ClassVar[bool] = True
    http_method_names = ("get", "head", "post", "put", "patch", "delete")
    parser_classes = (StrictJSONParser,)
    renderer_classes = (JSONRenderer,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        query = request._request.META.get("QUERY_STRING", "")
        if "%00" in query or "\x00" in query:
            raise Malformed("The query holds a NUL character.", code="invalid_parameter")
        super().initial(request, *args, **kwargs)
        if query and request.method in WRITES:
            # No change takes any. One that is ignored would be done otherwise than it was meant.
            name = next(iter(request.query_params), "")[:40]
            raise Malformed(f"There is no parameter {name!r} here.", code="unknown_parameter")
        if request.method == "POST" and hasattr(self, "post"):
            # DRF looks the handler up on the instance: what it finds there is the guarded one.
            guarded = partial(idempotency.run_once, self, getattr(self, "post"))  # noqa: B009
            setattr(self, "post", guarded)  # noqa: B010 - no class declares it

    def perform_authentication(self, request: Request) -> None:
        """Counts the request whether or not it says who it is: guessing is limited as well."""
        try:
            super().perform_authentication(request)
        except APIException:
            self._count(request, "")
            raise
        self._count(request, principal_of(request))

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        final = super().finalize_response(request, response, *args, **kwargs)
        usage: ratelimit.Usage | None = getattr(self, "usage", None)
        if usage is not None:
            for name, value in usage.headers().items():
                final[name] = value
        final["X-Request-Id"] = request_id_of(getattr(request, "_request", request))
        final.setdefault("Cache-Control", "no-store")
        return final

    def idempotency_fingerprint(self, request: Request) -> str:
        """What makes two requests the same one. Never reads a whole upload into memory."""
        return idempotency.fingerprint(request)

    def _count(self, request: Request, principal: str) -> None:
        if not principal:
            address = client_address(
                request._request, trusted_proxies=settings.CONFIG.trusted_proxies
            )
            principal = f"ip:{address}"
        self.usage = ratelimit.limiter().take(principal, writes=request.method in WRITES)
        self.usage.refuse_if_over()


def principal_of(request: Request) -> str:
    """Who is asking, for counting and for idempotency: a token apart from its owner's session."""
    auth: Any = request.auth
    return "" if auth is None else str(auth.token_id or auth.user_id)
