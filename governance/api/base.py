"""The base of every API view: the conventions of `core.api`, and the actor."""

from __future__ import annotations

from core.api.views import ApiView as Conventions
from core.errors import NotSignedIn
from governance.domain.access import Actor


class ApiView(Conventions):
    """Declare `actions = {"GET": "model.read", "POST": "model.create"}`; what is not declared is
    denied. Handlers call one use-case or selector with `self.actor`."""

    @property
    def actor(self) -> Actor:
        actor = self.request.auth
        if not isinstance(actor, Actor):
            raise NotSignedIn("Sign in, or send an API token.")
        return actor
