"""Pages, then their partials: each region of a page has an address of its own."""

from __future__ import annotations

from django.urls import path

from frontend.views import styleguide, theme

urlpatterns = [
    path("styleguide/", styleguide.styleguide, name="styleguide"),
    path("settings/theme", theme.choose, name="theme"),
]
