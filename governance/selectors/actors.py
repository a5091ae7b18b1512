"""From an account, a request or a token to the actor that it is."""

from __future__ import annotations

from django.http import HttpRequest

from core.errors import NotSignedIn
from governance.domain.access import Actor, ActorKind
from governance.models import ApiToken, Pseudonym, User

_KEPT = "_slipway_actor"


def of_user(user: User, *, request_id: str = "") -> Actor:
    """A person in a session, with all of their rights. Make a new one for each check."""
    return Actor(
        user_id=user.pk,
        username=user.username,
        ref=_ref(user),
        kind=ActorKind(user.kind),
        request_id=request_id,
    )


def of_token(token: ApiToken, *, request_id: str = "") -> Actor:
    """The owner of a token, narrowed to its scopes."""
    return Actor(
        user_id=token.user_id,
        username=token.user.username,
        ref=_ref(token.user),
        kind=ActorKind(token.user.kind),
        scopes=frozenset(token.scopes),
        token_id=token.public_id,
        request_id=request_id,
    )


def of_request(request: HttpRequest) -> Actor:
    """Whoever is signed in, one actor for the whole request.

    Raises:
        NotSignedIn: nobody is.
    """
    kept = getattr(request, _KEPT, None)
    if isinstance(kept, Actor):
        return kept
    user = request.user
    if not isinstance(user, User) or not user.is_active:
        raise NotSignedIn("Sign in to see this.")
    actor = of_user(user, request_id=getattr(request, "request_id", ""))
    setattr(request, _KEPT, actor)
    return actor


def _ref(user: User) -> str:
    """The account's pseudonym, or nothing before its first event."""
    try:
        return user.pseudonym.ref
    except Pseudonym.DoesNotExist:
        return ""
