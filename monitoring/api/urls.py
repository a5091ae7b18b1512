from __future__ import annotations

from django.urls import path

from monitoring.api.traffic import EndpointTraffic

urlpatterns = [
    path("endpoints/<pid:endpoint_id>/traffic", EndpointTraffic.as_view(), name="endpoint-traffic"),
]
