"""Who may have a session: people. Machines hold tokens."""

from __future__ import annotations

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend

from governance.models import User


class PeopleOnly(AuthenticationBackend):  # type: ignore[misc]
    """Asked at sign-in and again with each request of a session."""

    def user_can_authenticate(self, user: Any) -> bool:
        person = isinstance(user, User) and user.kind == User.Kind.PERSON
        return person and bool(super().user_can_authenticate(user))
