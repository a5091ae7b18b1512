"""API tokens as an actor may see them: their own."""

from __future__ import annotations

from django.db.models import QuerySet

from governance import authorize
from governance.domain.access import Actor
from governance.models import ApiToken


def own(actor: Actor) -> QuerySet[ApiToken]:
    """The actor's tokens, the revoked and expired among them."""
    return authorize.visible(
        actor, "token.read", ApiToken.objects.filter(user_id=actor.user_id or None)
    )
