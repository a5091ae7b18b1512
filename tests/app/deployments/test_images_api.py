"""/images, /builds and /gc over REST, the pages of builds, on Engines that are fake."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core import live
from core.errors import NotFound
from deployments.models import Build, Host, ImageCopy, Rollout
from deployments.reconcile import builds as worker
from frontend import topics
from governance.models import Team, User
from tests.app.reconcile.conftest import Site
from tests.app.reconcile.engines import Engines
from tests.app.reconcile.engines import engines as engines
from tests.factories import people
from tests.factories.api import Api, refused_with

_keys = count()


@pytest.fixture
def north(engines: Engines) -> Host:
    return engines.add("north")


@pytest.fixture
def looker(site: Site) -> Api:
    user = people.person("charlie")
    people.bind(user, "viewer")
    return Api(token=people.token(user))


@pytest.fixture
def operator(site: Site) -> Api:
    user = people.person("olga")
    people.bind(user, "operator")
    return Api(token=people.token(user))


@pytest.fixture
def stranger(site: Site) -> Api:
    """Somebody of another team."""
    user = people.person("mallory")
    other = Team.objects.create(name="others")
    people.bind(user, "viewer", scope_kind="team", scope_id=other.pk)
    return Api(token=people.token(user))


@pytest.fixture
def browser(site: Site) -> Client:
    user = people.person("carol")
    people.bind(user, "viewer")
    client = Client()
    client.force_login(user)
    return client


def collect(api: Api, **body: Any) -> Any:
    return api.post("/gc", body, idempotency_key=f"gc-{next(_keys)}")


def test_an_image_says_where_it_is_and_how_it_came_there(
    engines: Engines, north: Host, looker: Api
) -> None:
    engines.started()
    [waiting] = looker.get("/images").json()["items"]
    assert (waiting["state"], waiting["hosts"], waiting["size"]) == ("queued", [], 0)
    engines.work()
    image = looker.get(f"/images/{waiting['id']}").json()
    assert (image["model"], image["version"], image["state"]) == ("tumour", 1, "ready")
    assert image["digest"].startswith("sha256:")
    assert [(each["host"], each["environment"]) for each in image["hosts"]] == [
        ("north", "staging")
    ]
    build = looker.get(f"/builds/{image['build']}").json()
    assert (build["kind"], build["state"], build["host"]) == ("build", "succeeded", "north")
    assert build["sentence"] == "Built on the host north."
    assert build["image"] == image["id"]


def test_an_image_that_every_host_has_let_go_of_is_gone(
    engines: Engines, north: Host, looker: Api
) -> None:
    engines.started()
    engines.work()
    ImageCopy.objects.all().delete()
    assert looker.get("/images").json()["items"][0]["state"] == "gone"


def test_lists_are_narrowed_and_wrong_filters_are_refused(
    engines: Engines, north: Host, looker: Api
) -> None:
    engines.started()
    engines.work()
    image = looker.get("/images?model=tumour&version=1").json()["items"][0]["id"]
    assert looker.get("/images?version=2").json()["items"] == []
    assert len(looker.get(f"/builds?image={image}&state=succeeded").json()["items"]) == 1
    assert looker.get("/builds?environment=production").json()["items"] == []
    assert looker.get("/builds?state=queued,running").json()["items"] == []
    assert refused_with(looker.get("/builds?state=done"), 400, "invalid_parameter")
    assert refused_with(looker.get("/images?version=x"), 400, "invalid_parameter")


def test_the_log_can_be_read_while_it_grows_and_says_when_it_is_over(
    engines: Engines, north: Host, looker: Api
) -> None:
    engines.started()
    build = Build.objects.get()
    address = f"/builds/{build.public_id}/log"
    assert looker.get(address).json() == {
        "build": build.public_id,
        "state": "queued",
        "is_over": False,
        "text": "",
    }
    engines.work()
    answer = looker.get(address).json()
    assert answer["is_over"]
    assert "COPY artifact.slw" in answer["text"]


def test_a_failed_build_says_why_in_a_stable_word(
    engines: Engines, north: Host, looker: Api
) -> None:
    engines.of(north).disk_full = True
    engines.started()
    engines.work()
    build = looker.get("/builds").json()["items"][0]
    assert (build["state"], build["attempts"]) == ("queued", 1)
    assert build["failure"]["code"] == "build:disk-full"
    assert "no space left" in build["failure"]["evidence"]["build_log"]


def test_a_rollout_names_the_build_that_it_waits_for(
    engines: Engines, north: Host, looker: Api
) -> None:
    rollout = engines.started()
    engines.site.turn(rollout)
    answer = looker.get(f"/rollouts/{rollout.public_id}").json()
    assert answer["build"] == Build.objects.get().public_id
    assert answer["status"]["waiting"] == "image"
    assert "worker" in answer["status"]["sentence"]


def test_who_sees_no_release_of_it_sees_no_image_and_no_build(
    engines: Engines, north: Host, stranger: Api
) -> None:
    engines.started()
    build = Build.objects.get()
    assert stranger.get("/images").json()["items"] == []
    assert stranger.get("/builds").json()["items"] == []
    for path in (f"/builds/{build.public_id}", f"/builds/{build.public_id}/log"):
        assert refused_with(stranger.get(path), 404, "build:not-found")
    assert refused_with(stranger.get(f"/images/{build.image.public_id}"), 404, "image:not-found")


def test_an_operator_collects_and_a_dry_run_only_tells(
    engines: Engines, north: Host, operator: Api
) -> None:
    engines.started()
    engines.work()
    Rollout.objects.update(phase="done", outcome="reverted")
    engines.site.endpoint.rollouts.all().delete()
    engines.image().releases.all().delete()
    told = collect(operator, dry_run=True).json()
    assert told["dry_run"] is True
    [removal] = told["items"][0]["removals"]
    assert (removal["removed"], removal["model"], removal["version"]) == (False, "tumour", 1)
    done = collect(operator, environment="staging").json()
    assert done["items"][0]["removals"][0]["removed"] is True
    assert engines.of(north).images == {}


def test_who_only_looks_may_not_collect(engines: Engines, north: Host, looker: Api) -> None:
    assert collect(looker, dry_run=True).status_code == 403


def test_more_images_cost_no_more_queries(engines: Engines, north: Host, looker: Api) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert looker.get("/images").status_code == 200
            assert looker.get("/builds").status_code == 200
        return len(seen)

    engines.started(1)
    engines.work()
    queries()  # the first request of a token also writes when it was used
    before = queries()
    for version in (2, 3):
        Rollout.objects.update(phase="done")
        engines.started(version)
        engines.work()
    assert len(looker.get("/images").json()["items"]) == 3
    assert queries() == before


# --- pages ---------------------------------------------------------------------------------------


def test_the_endpoints_page_leads_to_the_build_that_it_waits_for(
    engines: Engines, north: Host, browser: Client
) -> None:
    rollout = engines.started()
    engines.site.turn(rollout)
    page = browser.get("/endpoints/staging/tumour").content.decode()
    assert f'href="/builds/{Build.objects.get().public_id}"' in page
    assert "Waiting for a worker to build the image on the host north." in page


def test_the_page_of_a_build_shows_its_log_and_listens_for_more(
    engines: Engines, north: Host, browser: Client
) -> None:
    engines.started()
    build = Build.objects.get()
    page = browser.get(f"/builds/{build.public_id}").content.decode()
    assert f'data-topic="build:{build.public_id}"' in page
    assert "Building version 1 of tumour" in page
    assert "no worker has begun" in page
    engines.work()
    region = browser.get(
        f"/partials/builds/{build.public_id}", headers={"HX-Request": "true"}
    ).content.decode()
    assert "Succeeded" in region
    assert "COPY artifact.slw" in region


def test_a_log_is_text_and_never_markup(engines: Engines, north: Host, browser: Client) -> None:
    engines.started()
    Build.objects.update(log="<script>alert(1)</script>")
    page = browser.get(f"/builds/{Build.objects.get().public_id}").content.decode()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_failed_rollout_leads_to_the_build_that_failed(
    engines: Engines, north: Host, browser: Client
) -> None:
    engines.of(north).bases.clear()
    rollout = engines.started()
    engines.work()
    engines.site.until(rollout, lambda row: row.phase == "done", step=5.0)
    page = browser.get("/endpoints/staging/tumour").content.decode()
    assert f'href="/builds/{Build.objects.get().public_id}"' in page
    assert "Log of the build, last lines" in page


def test_the_page_of_a_model_says_where_a_versions_image_is(
    engines: Engines, north: Host, browser: Client
) -> None:
    engines.started()
    engines.work()
    ImageCopy.objects.update(warning="it is being used")
    page = browser.get("/models/tumour").content.decode()
    assert engines.image().digest in page
    assert "north in staging" in page
    assert "could not be removed: it is being used" in page


def test_mallory_finds_no_build(engines: Engines, north: Host, site: Site) -> None:
    engines.started()
    client = Client()
    user = people.person("mallory")
    other = Team.objects.create(name="others")
    people.bind(user, "viewer", scope_kind="team", scope_id=other.pk)
    client.force_login(user)
    assert client.get(f"/builds/{Build.objects.get().public_id}").status_code == 404


def test_the_topic_of_a_build_is_for_those_who_see_it(engines: Engines, north: Host) -> None:
    engines.started()
    topic = topics.of_build(Build.objects.get().public_id)
    charlie = people.person("charlie")
    people.bind(charlie, "viewer")
    topics.require(people.actor(charlie), topic)
    with pytest.raises(NotFound):
        topics.require(people.actor(people.person("mallory")), topic)
    with pytest.raises(NotFound):
        topics.require(people.actor(charlie), "build:bld_01J00000000000000000000000")


def test_pages_are_told_when_a_build_begins_and_when_it_ends(
    engines: Engines, north: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(live, "changed", lambda topic, revision: told.append(topic))
    engines.started()
    topic = topics.of_build(Build.objects.get().public_id)
    assert told.count(topic) == 1
    worker.claim(Build.objects.get().pk)
    assert told.count(topic) == 2
    assert User.objects.exists()
