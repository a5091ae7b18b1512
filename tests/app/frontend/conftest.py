"""An endpoint whose world is fake, and the people who look at it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from core import clock
from deployments.domain import plan
from deployments.domain.rollout import Outcome, Phase, Spec, Status
from deployments.models import Endpoint, Release, Replica, Rollout, RolloutEvent, Route, Version
from deployments.ports import ObservedReplica
from deployments.selectors import subjects
from deployments.services import releases
from governance import audit
from governance.domain.access import SYSTEM
from governance.models import User
from tests.app.deployments.conftest import artifacts as artifacts
from tests.app.deployments.conftest import onnx_file as onnx_file
from tests.app.deployments.conftest import sandbox as sandbox
from tests.app.reconcile.conftest import Site
from tests.app.reconcile.conftest import site as site
from tests.factories import people

ENDPOINT = "/endpoints/staging/tumour"
HX = {"HX-Request": "true"}


def browser(user: User | None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user)
    return client


@pytest.fixture
def as_alice(site: Site) -> Client:
    """Alice comes with the site: an engineer of the team that owns the model."""
    return browser(User.objects.get(username="alice"))


@pytest.fixture
def as_charlie(site: Site) -> Client:
    user = people.person("charlie")
    people.bind(user, "viewer")
    return browser(user)


@pytest.fixture
def as_mallory(site: Site) -> Client:
    return browser(people.person("mallory"))


@pytest.fixture
def as_admin(site: Site) -> Client:
    user = people.person("admin")
    people.bind(user, "org_admin")
    return browser(user)


@pytest.fixture
def serving(site: Site) -> Site:
    """Version 1, then 2 were promoted; 2 serves. As rows: the loop that makes such rows has tests
    of its own, and takes a second."""
    endpoint = Endpoint.objects.create(model=site.model, environment=site.environment)
    before = None
    for number in (1, 2):
        before = _promoted(site, endpoint, number, before)
    copy = Replica.objects.create(
        release=before,
        host=site.host_row,
        state="ready",
        address="127.0.0.1",
        port=20_000,
        ready_at=clock.now(),
    )
    site.host.observed[copy.public_id] = ObservedReplica(
        copy.public_id, True, "127.0.0.1", 20_000, boot_id="boot"
    )
    Route.objects.create(endpoint=endpoint, release=before, percent=100)
    Endpoint.objects.filter(pk=endpoint.pk).update(stable_release=before, last_rollout_number=2)
    return site


def _promoted(site: Site, endpoint: Endpoint, number: int, before: Release | None) -> Release:
    version = Version.objects.get(model=site.model, number=number)
    release = releases.ensure(
        endpoint, version, None, releases.serving_config(None), site.actor.user_id
    )
    steps = plan.compile_steps(plan.BlueGreen(bake_seconds=30))
    stable = before.pk if before else None
    rollout = Rollout.objects.create(
        endpoint=endpoint,
        number=number,
        target_release=release,
        stable_release=before,
        strategy={"kind": "blue-green"},
        spec=Spec(target=release.pk, stable=stable, replicas=1, steps=steps).to_json(),
        status=Status(phase=Phase.DONE, outcome=Outcome.PROMOTED).to_json(),
        phase="done",
        outcome="promoted",
        finished_at=clock.now(),
        due_at=None,
        created_by_id=site.actor.user_id,
    )
    RolloutEvent.objects.create(rollout=rollout, kind="created", message="Started by alice.")
    subject = subjects.of_rollout(rollout)
    audit.record(site.actor, "rollout.start", subject)
    audit.record(SYSTEM, "rollout.finish", subject)
    return release


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())
