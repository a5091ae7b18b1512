"""What every page does: who asks, may they, and what to show when the answer is no."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from core import errors
from core.api.requests import request_id_of
from core.errors import ControlPlaneError
from governance import authorize
from governance.domain.access import Actor
from governance.domain.declare import declares
from governance.selectors import actors

View = Callable[..., HttpResponse]

_STATUS: tuple[tuple[type[ControlPlaneError], HTTPStatus], ...] = (
    (errors.NotSignedIn, HTTPStatus.UNAUTHORIZED),
    (errors.NotAllowed, HTTPStatus.FORBIDDEN),
    (errors.NotFound, HTTPStatus.NOT_FOUND),
    (errors.Conflict, HTTPStatus.CONFLICT),
    (errors.Stale, HTTPStatus.CONFLICT),
    (errors.TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (errors.TooMany, HTTPStatus.TOO_MANY_REQUESTS),
    (errors.Malformed, HTTPStatus.BAD_REQUEST),
    (errors.Refused, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)


def page(action: str, *methods: str) -> Callable[[View], View]:
    """A view for people in a session. The first of two checks is here: whoever could do `action`
    nowhere is refused; the selector or use-case asks again about the very thing."""
    allowed = list(methods or ("GET", "HEAD"))

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                authorize.require_anywhere(actor_of(request), action)
                _refuse_nul(request)
                return view(request, *args, **kwargs)
            except errors.NotSignedIn:
                return _to_login(request)
            except ControlPlaneError as problem:
                return refusal(request, problem)

        return declares(action)(never_cache(require_http_methods(allowed)(guarded)))

    return decorate


def _refuse_nul(request: HttpRequest) -> None:
    """No text of ours holds a NUL, and PostgreSQL takes a query with one for an error of ours."""
    values = (
        value for form in (request.GET, request.POST) for each in form.lists() for value in each[1]
    )
    if "\x00" in request.path or any("\x00" in value for value in values):
        raise errors.Malformed("The request holds a character that no name or text may hold.")


def actor_of(request: HttpRequest) -> Actor:
    return actors.of_request(request)


def is_partial(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def status_of(problem: ControlPlaneError) -> HTTPStatus:
    for kind, status in _STATUS:
        if isinstance(problem, kind):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def refusal(request: HttpRequest, problem: ControlPlaneError) -> HttpResponse:
    """A page with what is wrong; for a form in a dialog, the sentence inside that dialog; for a
    region that refreshes itself, a message, and what is shown stays."""
    context = {"problem": problem, "request_id": request_id_of(request)}
    status = status_of(problem)
    if not is_partial(request):
        name = {403: "403.html", 404: "404.html"}.get(status, "frontend/pages/problem.html")
        return render(request, name, context, status=status)
    response = render(request, "frontend/parts/problem.html", context, status=status)
    dialog = request.POST.get("dialog", "")
    if dialog.replace("-", "").isalnum():
        response["HX-Retarget"] = f"#{dialog}-problem"
    else:
        response["HX-Retarget"] = "#messages"
    response["HX-Reswap"] = "innerHTML"
    return response


def done(request: HttpRequest, sentence: str, to: str) -> HttpResponse:
    """After a form without htmx: say what happened, on the page where it shows."""
    messages.success(request, sentence)
    return HttpResponseRedirect(to)


def show(
    request: HttpRequest, template: str, context: Mapping[str, Any], status: int = 200
) -> HttpResponse:
    return render(request, template, dict(context), status=status)


def _to_login(request: HttpRequest) -> HttpResponse:
    """And back again: to this page, or to the one whose region asked."""
    login, wanted = resolve_url(settings.LOGIN_URL), ""
    if is_partial(request):
        page_url = urlsplit(request.headers.get("HX-Current-URL", ""))
        wanted = page_url.path + (f"?{page_url.query}" if page_url.query else "")
    elif request.method == "GET":
        wanted = request.get_full_path()
    to = f"{login}?{urlencode({'next': wanted})}" if wanted else login
    if not is_partial(request):
        return HttpResponseRedirect(to)
    response = HttpResponse(status=HTTPStatus.UNAUTHORIZED)
    response["HX-Redirect"] = to
    return response
