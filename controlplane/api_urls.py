"""The API's addresses: each app brings its own."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("", include("governance.api.urls")),
    path("", include("deployments.api.urls")),
]
