"""What the API answers about things that are there is what its description says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections

from deployments.models import Operation, Rollout
from deployments.services import aliases
from governance.models import User
from tests.app.reconcile.conftest import Site
from tests.factories import people

pytestmark = pytest.mark.django_db

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
PATHS = [
    "/models",
    "/models/{name}",
    "/models/{name}/versions",
    "/models/{name}/versions/{number}",
    "/models/{name}/aliases",
    "/models/{name}/aliases/{alias}",
    "/models/{name}/aliases/{alias}/moves",
    "/environments",
    "/environments/{name}",
    "/hosts",
    "/hosts/{host_id}",
    "/gateways",
    "/gateways/{gateway_id}",
    "/endpoints",
    "/endpoints/{endpoint_id}",
    "/endpoints/{endpoint_id}/logs",
    "/endpoints/{endpoint_id}/releases",
    "/releases/{release_id}",
    "/rollouts",
    "/rollouts/{rollout_id}",
    "/rollouts/{rollout_id}/events",
    "/operations",
    "/operations/{operation_id}",
]


@pytest.fixture
def _one_connection(db: None) -> Iterator[None]:
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def _names(site: Site, rollout: Rollout) -> dict[str, object]:
    return {
        "number": 1,
        "alias": "champion",
        "host_id": site.host_row.public_id,
        "gateway_id": site.gateways[0].public_id,
        "endpoint_id": site.endpoint.public_id,
        "release_id": rollout.target_release.public_id,
        "rollout_id": rollout.public_id,
        "operation_id": Operation.objects.get(rollout=rollout).public_id,
    }


@pytest.mark.usefixtures("_one_connection")
def test_every_answer_has_its_described_shape(site: Site) -> None:
    site.finish(site.start(1))
    rollout = site.start(2)
    site.baking(rollout)
    aliases.move(actor=site.actor, model="tumour", alias="champion", version=1)
    names = _names(site, rollout)
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application())
    checks = [schemathesis.checks.CHECKS.get_one(name) for name in CHECKS]
    token = people.token(User.objects.get(username="alice"))
    for path in PATHS:
        place = "tumour" if path.startswith("/models") else "staging"
        known = {**names, "name": place}
        wanted = {key: value for key, value in known.items() if f"{{{key}}}" in path}
        case = schema[f"/api/v1{path}"]["GET"].Case(path_parameters=wanted)
        response = case.call(headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 200, (path, response.text)
        case.validate_response(response, checks=checks)
