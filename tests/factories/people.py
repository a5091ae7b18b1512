"""Accounts, roles and tokens, made past the use-cases: a test of those does not build on them."""

from __future__ import annotations

from datetime import datetime, timedelta

from core import clock
from governance.domain import tokens
from governance.domain.access import Actor
from governance.domain.catalogue import TokenScope
from governance.models import ApiToken, RoleBinding, Team, User
from governance.selectors import actors

PASSWORD = "correct horse battery staple"


def person(username: str, *, kind: str = User.Kind.PERSON, password: str = "") -> User:
    user = User(username=username, display_name=username.title(), kind=kind)
    if password:
        user.set_password(password)
    else:
        user.set_unusable_password()
    user.save()
    return user


def team(name: str) -> Team:
    return Team.objects.create(name=name, title=name.title())


def bind(
    user: User,
    role: str,
    *,
    scope_kind: str = "everything",
    scope_id: str = "",
    expires_at: datetime | None = None,
) -> RoleBinding:
    return RoleBinding.objects.create(
        user=user, role=role, scope_kind=scope_kind, scope_id=scope_id, expires_at=expires_at
    )


def actor(user: User) -> Actor:
    """Somebody in a session, as one request sees them."""
    return actors.of_user(user, request_id="req_test")


def token(
    user: User,
    *scopes: str,
    expires_in: timedelta = timedelta(days=1),
    revoked: bool = False,
) -> str:
    """The text of a token with these scopes; without any, with all rights of its owner."""
    made = tokens.generate()
    ApiToken.objects.create(
        user=user,
        name="test",
        lookup=made.lookup,
        digest=made.digest,
        scopes=list(scopes or (TokenScope.ADMIN,)),
        expires_at=clock.now() + expires_in,
        revoked_at=clock.now() if revoked else None,
    )
    return made.text
