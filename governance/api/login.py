"""One-time login links, as a terminal prints them, and the account pages that stay closed."""

from __future__ import annotations

from django.contrib.auth import login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from core.errors import Conflict
from governance.domain.catalogue import PUBLIC
from governance.domain.declare import declares
from governance.models import User
from governance.services import login_links


@declares(PUBLIC)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def link(request: HttpRequest, secret: str) -> HttpResponse:
    """Sign in at once when a person opens the link; use nothing up for whoever only looks ahead.

    A link that another site sent somebody to, or that arrives where somebody else is signed in,
    asks first: nobody shall find themselves in an account that they did not mean to open.
    """
    if request.method == "HEAD" or _looks_ahead(request):
        return HttpResponse(status=204)
    owner = login_links.owner(secret)
    if owner is None:
        return _spent(request)
    if request.method == "GET" and _should_ask(request, owner):
        return _private(
            render(request, "governance/login_link.html", {"owner": owner, "path": request.path})
        )
    try:
        user = login_links.use(secret)
    except Conflict:
        return _spent(request)
    login(request, user)
    return _private(redirect("/"))


@declares(PUBLIC)
def closed(request: HttpRequest) -> HttpResponse:
    """Addresses that allauth's pages name and that Slipway does not have: accounts are given."""
    raise Http404(request.path)


def _looks_ahead(request: HttpRequest) -> bool:
    headers = (request.headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Moz"))
    return any(word in header for header in headers for word in ("prefetch", "preview"))


def _should_ask(request: HttpRequest, owner: User) -> bool:
    from_elsewhere = request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
    someone_else = request.user.is_authenticated and request.user.pk != owner.pk
    return from_elsewhere or someone_else


def _spent(request: HttpRequest) -> HttpResponse:
    return _private(render(request, "governance/login_link_spent.html", status=410))


def _private(response: HttpResponse) -> HttpResponse:
    response["Referrer-Policy"] = "no-referrer"
    return response
