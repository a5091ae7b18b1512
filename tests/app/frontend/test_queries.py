"""The number of queries of a page does not grow with what it shows."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from deployments.models import Alias, AliasMove, Endpoint, Model, Release, Route, Version
from deployments.services import aliases
from governance.models import ApiToken, User
from tests.app.frontend.conftest import ENDPOINT
from tests.app.reconcile.conftest import SAMPLE, SIGNATURE, Site
from tests.factories import people


def count(client: Client, path: str) -> int:
    client.get(path)  # the first request of a session also writes when it began
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def more_models(site: Site, number: int) -> None:
    artifact = Version.objects.all()[0].artifact
    for index in range(number):
        model = Model.objects.create(name=f"more-{index}", team=site.model.team, last_number=1)
        version = Version.objects.create(
            model=model, number=1, artifact=artifact, signature=SIGNATURE, sample=SAMPLE
        )
        Alias.objects.create(model=model, name="champion", version=version)
        endpoint = Endpoint.objects.create(model=model, environment=site.environment)
        release = Release.objects.create(
            endpoint=endpoint, version=version, config={}, digest=f"sha256:{index:064d}"
        )
        Endpoint.objects.filter(pk=endpoint.pk).update(stable_release=release)
        Route.objects.create(endpoint=endpoint, release=release, percent=100)


@pytest.mark.parametrize("path", ["/", "/models"])
def test_more_models_and_endpoints_cost_no_more_queries(
    serving: Site, as_charlie: Client, path: str
) -> None:
    before = count(as_charlie, path)
    more_models(serving, 5)
    assert count(as_charlie, path) == before


def test_more_rollouts_cost_no_more_queries(serving: Site, as_alice: Client) -> None:
    before = count(as_alice, ENDPOINT)
    serving.finish(serving.start(3))
    assert count(as_alice, ENDPOINT) == before


def test_more_versions_and_aliases_cost_no_more_queries(serving: Site, as_alice: Client) -> None:
    def add(number: int) -> None:
        first = Version.objects.all()[0]
        version = Version.objects.create(
            model=serving.model,
            number=number,
            artifact=first.artifact,
            signature=SIGNATURE,
            sample=SAMPLE,
        )
        Alias.objects.create(model=serving.model, name=f"alias-{number}", version=version)
        AliasMove.objects.create(
            model=serving.model, name=f"alias-{number}", to_version=version, from_version=first
        )

    add(10)
    before = count(as_alice, "/models/tumour")
    for number in range(11, 15):
        add(number)
    assert count(as_alice, "/models/tumour") == before


def test_more_events_and_tokens_cost_no_more_queries(serving: Site, as_admin: Client) -> None:
    before = {path: count(as_admin, path) for path in ("/audit", "/settings/tokens")}
    for index in range(3):
        aliases.move(actor=serving.actor, model="tumour", alias=f"a{index}", version=1)
        people.token(User.objects.get(username="admin"))
    assert ApiToken.objects.count() == 3
    assert {path: count(as_admin, path) for path in before} == before
