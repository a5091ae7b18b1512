"""Every component in one place, in the theme that is chosen: for people who build pages, and for
the tests that look at them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from frontend import examples
from frontend.views.base import page, show
from governance.domain.catalogue import SIGNED_IN


@page(SIGNED_IN)
def styleguide(request: HttpRequest) -> HttpResponse:
    return show(
        request,
        "frontend/pages/styleguide.html",
        {
            "badges": examples.BADGES,
            "colours": examples.COLOURS,
            "endpoint": examples.endpoint(),
            "rows": examples.fleet_rows(),
        },
    )
