"""Page views declare their action like every other entry point."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

from core.errors import NotAllowed, NotSignedIn
from governance import authorize
from governance.domain.declare import declares
from governance.selectors import actors

View = Callable[..., HttpResponseBase]


def page(action: str) -> Callable[[View], View]:
    """A view for people who are signed in and may do `action` somewhere.

    Others are sent to sign in, or get 403. What they may do with the very thing is asked again by
    the selector or the use-case; `actors.of_request(request)` is who they are.
    """

    def decorate(view: View) -> View:
        @declares(action)
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                authorize.require_anywhere(actors.of_request(request), action)
            except NotSignedIn:
                return redirect_to_login(request.get_full_path())
            except NotAllowed as problem:
                raise PermissionDenied(problem.detail) from problem
            return view(request, *args, **kwargs)

        return guarded

    return decorate
