"""Errors as HTTP: the one place where a class of error becomes a status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.views import defaults
from rest_framework import exceptions, status
from rest_framework.response import Response

from core import errors
from core.api import problems
from core.api.requests import request_id_of

log = structlog.get_logger(__name__)

API_PREFIX = "/api/"

STATUS: Mapping[type[errors.ControlPlaneError], int] = {
    errors.Malformed: 400,
    errors.NotSignedIn: 401,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Stale: 412,
    errors.TooLarge: 413,
    errors.Invalid: 422,
    errors.Precondition: 428,
    errors.TooMany: 429,
    errors.Refused: 400,
    errors.Unavailable: 503,
    errors.Broken: 500,
    errors.ControlPlaneError: 500,
}
_OUR_FAULT = errors.Broken("Something went wrong on our side. It has been logged.")
_FRAMEWORK: Mapping[type[exceptions.APIException], tuple[int, str, str]] = {
    exceptions.ParseError: (400, "malformed", "The request cannot be understood"),
    exceptions.NotAuthenticated: (401, "auth:not-signed-in", "Sign in first"),
    exceptions.AuthenticationFailed: (401, "auth:bad-credentials", "Sign in first"),
    exceptions.PermissionDenied: (403, "auth:not-allowed", "Not allowed"),
    exceptions.NotFound: (404, "not-found", "Not found"),
    exceptions.MethodNotAllowed: (405, "method-not-allowed", "Not a method of this address"),
    exceptions.NotAcceptable: (406, "not-acceptable", "Only JSON can be answered"),
    exceptions.UnsupportedMediaType: (415, "unsupported-media-type", "Not a type we read"),
    exceptions.Throttled: (429, "rate-limited", "Too many requests"),
}


def exception_handler(problem: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's hook: whatever was raised in an API view, as problem+json."""
    request: HttpRequest = context["request"]._request
    if isinstance(problem, exceptions.APIException):
        return _from_framework(problem, request)
    return _answer(_as_ours(problem), request)


def _as_ours(problem: Exception) -> errors.ControlPlaneError:
    """Anything that can be raised in a view, as a member of our own tree."""
    match problem:
        case errors.Broken():
            log.error("broken", problem=problem.detail, exc_info=problem)
            return _OUR_FAULT
        case errors.ControlPlaneError():
            return problem
        case Http404():
            return errors.NotFound("There is nothing at this address.")
        case PermissionDenied():
            return errors.NotAllowed("This is not allowed.")
        case RequestDataTooBig():
            return errors.TooLarge("The body is larger than this address takes.")
        case SuspiciousOperation() | UnreadablePostError():
            return errors.Malformed("The request cannot be understood.")
        case DataError():
            log.warning("database_refused_value", problem=str(problem))
            return errors.Invalid("A value is out of the range that can be stored.")
        case IntegrityError():
            log.warning("database_constraint", problem=str(problem))
            return errors.Conflict("Someone else changed this at the same moment; try again.")
        case OperationalError() | InterfaceError():
            log.error("database_unavailable", exc_info=problem)
            return errors.Unavailable("The database does not answer right now; try again.")
    log.error("unhandled_error", exc_info=problem)
    return _OUR_FAULT


def _answer(problem: errors.ControlPlaneError, request: HttpRequest) -> Response:
    code = next(STATUS[kind] for kind in type(problem).__mro__ if kind in STATUS)
    headers: dict[str, str] = {}
    if code == status.HTTP_401_UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="slipway"'
    if "retry_after" in problem.extra or code == status.HTTP_503_SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(problem.extra.get("retry_after", 1))
    if isinstance(problem, errors.Stale) and "etag" in problem.extra:
        headers["ETag"] = str(problem.extra["etag"])
    body = problems.document(
        status=code,
        code=problem.stable_code,
        title=problem.title,
        detail=problem.detail,
        instance=request.path,
        request_id=request_id_of(request),
        problems=problem.problems,
        help_text=problem.help_text,
        extra=problem.extra,
    )
    return Response(body, status=code, headers=headers, content_type=problems.CONTENT_TYPE)


def _from_framework(problem: exceptions.APIException, request: HttpRequest) -> Response:
    if isinstance(problem, exceptions.ValidationError):
        found = problems.flatten(problem.detail)
        codes = {one.code for one in found}
        # One kind of mistake names the whole: `unknown_field` rather than `invalid`.
        code = codes.pop() if len(codes) == 1 else errors.Invalid.code
        detail = "; ".join(f"{one.pointer or 'body'}: {one.detail}" for one in found[:5])
        return _answer(errors.Invalid(detail, code=code, problems=found), request)
    kinds = (kind for kind in type(problem).__mro__ if kind in _FRAMEWORK)
    kind = next(kinds, None)
    if kind is None:
        return _answer(_as_ours(errors.Broken(str(problem.detail))), request)
    number, code, title = _FRAMEWORK[kind]
    headers = {"WWW-Authenticate": 'Bearer realm="slipway"'} if number == 401 else {}
    body = problems.document(
        status=number,
        code=code,
        title=title,
        detail=str(problem.detail),
        instance=request.path,
        request_id=request_id_of(request),
    )
    return Response(body, status=number, headers=headers, content_type=problems.CONTENT_TYPE)


def _plain(problem: errors.ControlPlaneError, request: HttpRequest) -> JsonResponse:
    """The same answer outside DRF: for addresses that no view has."""
    response = _answer(problem, request)
    plain = JsonResponse(
        response.data, status=response.status_code, content_type=problems.CONTENT_TYPE
    )
    for name, value in response.items():
        if name != "Content-Type":
            plain[name] = value
    plain["X-Request-Id"] = request_id_of(request)
    plain["Cache-Control"] = "no-store"
    return plain


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    if request.path.startswith(API_PREFIX):
        return _plain(errors.NotFound("There is nothing at this address."), request)
    return defaults.page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400."""
    if request.path.startswith(API_PREFIX):
        return _plain(_as_ours(exception), request)
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: what escaped a middleware. Django has logged it."""
    if request.path.startswith(API_PREFIX):
        return _plain(_OUR_FAULT, request)
    return defaults.server_error(request)
