"""Remembering the theme, for people who are signed in and for those who are not yet."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from frontend.themes import THEMES, remember
from governance.domain.catalogue import PUBLIC
from governance.domain.declare import declares


@declares(PUBLIC)
@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    theme = request.POST.get("theme", "")
    if theme not in THEMES:
        return HttpResponseBadRequest("The theme is system, light or dark.")
    to = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(to, allowed_hosts=None):
        to = "/"
    response = HttpResponseRedirect(to)
    remember(response, theme, secure=request.is_secure())
    return response
