"""Keys and endpoints for the tests of keys."""

from __future__ import annotations

from typing import Any

from deployments.domain import routing
from deployments.models import (
    Endpoint,
    Model,
    Publication,
    Snapshot,
)
from deployments.services import keys
from governance.domain.access import Actor
from governance.models import Team
from tests.app.reconcile.conftest import Site
from tests.factories import people


def issue(site: Site, **given: Any) -> keys.Issued:
    given = {"environment": "staging", "name": "ward 7", "endpoints": ["tumour"]} | given
    given.setdefault("actor", site.actor)
    return keys.issue(**given)


def told(endpoint: Endpoint) -> dict[str, Any]:
    """What gateways were told last of who may ask this endpoint."""
    row = Publication.objects.get(endpoint=endpoint, type_url=Publication.ADMITTED)
    assert isinstance(row.content, dict)
    return row.content


def generation(site: Site) -> int:
    row = Snapshot.objects.get(environment=site.environment, type_url=routing.ROUTE_TYPE)
    return row.generation


def other_endpoint(site: Site, team: str = "risk") -> Endpoint:
    owner, _ = Team.objects.get_or_create(name=team)
    model = Model.objects.create(name="skin", team=owner)
    return Endpoint.objects.create(model=model, environment=site.environment)


def an_admin() -> Actor:
    user = people.person("admin")
    people.bind(user, "org_admin")
    return people.actor(user)
