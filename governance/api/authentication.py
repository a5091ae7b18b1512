"""Who is asking: a token in the Authorization header, or a session with its CSRF token.

Both leave the `Actor` in `request.auth`.
"""

from __future__ import annotations

from copy import copy
from datetime import timedelta
from typing import cast

from django.db.models import Q
from django.http import QueryDict
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from core import clock
from core.api.requests import request_id_of
from governance.domain import tokens
from governance.domain.access import Actor
from governance.models import ApiToken, User
from governance.selectors import actors
from governance.selectors.callers import live_token

# `last_used_at` is for people; writing it with each request would cost a write per read.
_USED_EVERY = timedelta(minutes=1)
_REFUSAL = "This token is unknown, expired or revoked."


class TokenAuthentication(authentication.BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[User, Actor] | None:
        header = authentication.get_authorization_header(request).decode("latin-1")
        scheme, _, text = header.partition(" ")
        if not header:
            return None
        parsed = tokens.parse(text.strip()) if scheme.lower() == "bearer" else None
        if parsed is None:
            raise AuthenticationFailed("The Authorization header holds no API token of Slipway.")
        token = live_token(parsed)
        if token is None:
            raise AuthenticationFailed(_REFUSAL)
        _used(token)
        return token.user, actors.of_token(token, request_id=request_id_of(request._request))

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="slipway"'


class SessionAuthentication(authentication.SessionAuthentication):
    def authenticate(self, request: Request) -> tuple[User, Actor] | None:
        user = getattr(request._request, "user", None)
        if not isinstance(user, User) or not user.is_active:
            return None
        self.enforce_csrf(request)
        return user, actors.of_request(request._request)

    def enforce_csrf(self, request: Request) -> None:
        """The token comes in the header. Django looks for it in the body first, which would read
        a whole upload before anybody has asked whether its sender may, and leave nothing of the
        body for comparing requests that carry the same Idempotency-Key."""
        without_body = copy(request._request)
        without_body.POST = QueryDict()
        super().enforce_csrf(cast(Request, without_body))


def _used(token: ApiToken) -> None:
    now = clock.now()
    if token.last_used_at is None or token.last_used_at < now - _USED_EVERY:
        ApiToken.objects.filter(
            Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - _USED_EVERY), pk=token.pk
        ).update(last_used_at=now)
