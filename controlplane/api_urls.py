"""The API's addresses: each app brings its own."""

from __future__ import annotations

from django.urls import include, path

from controlplane import openapi

urlpatterns = [
    path("openapi.json", openapi.openapi, name="openapi"),
    path("docs", openapi.swagger, name="api-docs"),
    path("", include("governance.api.urls")),
    path("", include("deployments.api.urls")),
    path("", include("monitoring.api.urls")),
]
