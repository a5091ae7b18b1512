"""One-time login links, for whoever reads the terminal that Slipway was started from."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction

from core import clock
from core.errors import Conflict, NotFound
from governance import audit, authorize
from governance.domain.access import Subject
from governance.models import LoginLink, User

if TYPE_CHECKING:
    from governance.domain.access import Actor

LIFETIME = timedelta(minutes=30)
_SECRET_BYTES = 32


def make(*, actor: Actor, username: str) -> str:
    """The secret of a new link; whoever has it within 30 minutes is that person.

    Raises:
        NotAllowed, NotFound: not theirs to do, or no person of that name may sign in.
    """
    authorize.require(actor, "account.login_link", Subject("account"))
    user = User.objects.filter(username=username, is_active=True, kind=User.Kind.PERSON).first()
    if user is None:
        raise NotFound(f"There is no person {username[:80]!r} who may sign in.")
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    with transaction.atomic():
        link = LoginLink.objects.create(
            user=user, digest=_digest(secret), expires_at=clock.now() + LIFETIME
        )
        audit.record(actor, "account.login_link", Subject("account", user.pk), link=link.pk)
    return secret


def owner(secret: str) -> User | None:
    """Whose link this is, without using it up; None when it is unknown, used or expired."""
    link = LoginLink.objects.select_related("user").filter(digest=_digest(secret)).first()
    if link is None or link.used_at is not None or link.expires_at <= clock.now():
        return None
    return link.user if link.user.is_active else None


def use(secret: str) -> User:
    """Use the link up and say whose it was. Of two at once, one gets in.

    Raises:
        Conflict: it is unknown, used or expired.
    """
    user = owner(secret)
    unused = LoginLink.objects.filter(digest=_digest(secret), used_at__isnull=True)
    if user is None or not unused.update(used_at=clock.now()):
        raise Conflict(
            "This login link has been used or has expired.", code="account:login-link-spent"
        )
    return user


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
