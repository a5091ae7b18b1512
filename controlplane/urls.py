"""Every address, gathered from the apps."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("api/v1/", include("controlplane.api_urls")),
    path("accounts/", include("governance.urls")),
    path("", include("controlplane.health_urls")),
    path("docs/", include("controlplane.docs_urls")),
    path("", include("frontend.urls")),
]

handler400 = "controlplane.api.bad_request"
handler404 = "controlplane.api.not_found"
handler500 = "controlplane.api.server_error"
