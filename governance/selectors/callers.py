"""Whether a request comes from somebody, before any of its body is read."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import SESSION_KEY

from core import clock
from governance.domain import tokens
from governance.models import ApiToken


def is_somebody(*, authorization: str, session_key: str) -> bool:
    """Whether a live token or a signed-in session is shown. What it may do is asked later, by
    the views: this only keeps strangers from making us store what they send."""
    if authorization:
        scheme, _, text = authorization.partition(" ")
        parsed = tokens.parse(text.strip()) if scheme.lower() == "bearer" else None
        return parsed is not None and live_token(parsed) is not None
    if not session_key:
        return False
    engine = cast(Any, import_module(settings.SESSION_ENGINE))
    return SESSION_KEY in engine.SessionStore(session_key)


def live_token(parsed: tokens.TokenText) -> ApiToken | None:
    """Looked up by the digest of the whole: what an attacker controls is never compared."""
    return (
        ApiToken.objects.select_related("user", "user__pseudonym")
        .filter(
            lookup=parsed.lookup,
            digest=parsed.digest,
            revoked_at__isnull=True,
            expires_at__gt=clock.now(),
            user__is_active=True,
        )
        .first()
    )
