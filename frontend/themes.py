"""System, Light or Dark: a cookie, because a theme belongs to a screen and is needed before
sign-in."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

THEMES = ("system", "light", "dark")
COOKIE = "slipway_theme"
_YEAR = 365 * 24 * 3600


def theme_of(request: HttpRequest) -> str:
    chosen = request.COOKIES.get(COOKIE, "system")
    return chosen if chosen in THEMES else "system"


def remember(response: HttpResponse, theme: str, *, secure: bool) -> None:
    response.set_cookie(COOKIE, theme, max_age=_YEAR, samesite="Lax", httponly=True, secure=secure)
