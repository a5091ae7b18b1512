"""What every request passes through."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse

from controlplane import metrics
from core import clock
from core.api.requests import acceptable_id

Handler = Callable[[HttpRequest], HttpResponse]

IDLE_SECONDS = 30 * 60
ABSOLUTE_SECONDS = 12 * 3600
# Writing the session with every request would cost a write per read.
_SEEN_EVERY_SECONDS = 60
# Open pages refresh themselves; that is not somebody being there.
BACKGROUND_HEADER = "X-Slipway-Background"
_STARTED, _SEEN = "slipway_started", "slipway_seen"


class RequestId:
    """One id per request: the caller's own where it is plain, else a new one.

    Synchronous on purpose, as the outermost: all of Django's middleware and views then run in one
    thread, and a request changes threads once instead of once per middleware.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Not by `request.headers`, which remembers: django-structlog is to read ours there.
        request_id = acceptable_id(request.META.get("HTTP_X_REQUEST_ID", ""))
        request.META["HTTP_X_REQUEST_ID"] = request_id
        request.request_id = request_id  # type: ignore[attr-defined]
        started = time.perf_counter()
        response = self.get_response(request)
        metrics.observe_request(request, response.status_code, time.perf_counter() - started)
        response.setdefault("X-Request-Id", request_id)
        return response


class SessionTimes:
    """A session ends 12 hours after it began and 30 minutes after somebody was last there."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            self._check(request)
        return self.get_response(request)

    def _check(self, request: HttpRequest) -> None:
        now = clock.timestamp()
        started = request.session.setdefault(_STARTED, now)
        seen = request.session.setdefault(_SEEN, now)
        if now - started >= ABSOLUTE_SECONDS or now - seen >= IDLE_SECONDS:
            logout(request)
        elif now - seen >= _SEEN_EVERY_SECONDS and BACKGROUND_HEADER not in request.headers:
            request.session[_SEEN] = now
