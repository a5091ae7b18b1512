"""A build, and its log while it grows."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from deployments.selectors import builds
from frontend.presenters import images as presenter
from frontend.views.base import actor_of, page, show


@page("image.read")
def build(request: HttpRequest, build_id: str) -> HttpResponse:
    return _shown(request, build_id, "frontend/pages/build.html")


@page("image.read")
def build_region(request: HttpRequest, build_id: str) -> HttpResponse:
    return _shown(request, build_id, "frontend/partials/build.html")


def _shown(request: HttpRequest, build_id: str, template: str) -> HttpResponse:
    actor = actor_of(request)
    # The log first: what is over when the row is read was over with the whole log.
    log = builds.log(actor, build_id)
    card = presenter.build(builds.build(actor, build_id), log)
    return show(request, template, {"build": card})
