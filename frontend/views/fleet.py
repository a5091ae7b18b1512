"""The fleet, and its one region."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from deployments.selectors import endpoints
from frontend.presenters import fleet
from frontend.views.base import actor_of, page, show
from monitoring.selectors.latency import fleet_p95
from monitoring.selectors.traffic import fleet_traffic


@page("endpoint.read")
def whole(request: HttpRequest) -> HttpResponse:
    return _shown(request, "frontend/pages/fleet.html")


@page("endpoint.read")
def region(request: HttpRequest) -> HttpResponse:
    return _shown(request, "frontend/partials/fleet.html")


def _shown(request: HttpRequest, template: str) -> HttpResponse:
    actor = actor_of(request)
    found = fleet.fleet(
        endpoints.endpoints(actor),
        fleet_traffic(actor),
        fleet_p95(actor),
        show=request.GET.get("show", ""),
        environment=request.GET.get("environment", ""),
    )
    query = request.GET.urlencode()
    partial_url = reverse("fleet-region") + (f"?{query}" if query else "")
    return show(request, template, {"fleet": found, "partial_url": partial_url})
