"""The hosts of environments, as people see and change them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from core import clock
from deployments.adapters import hosts as adapters
from deployments.models import Host, Replica
from deployments.ports import HostFacts, HostSilent
from tests.app.frontend.conftest import HX, browser, text
from tests.app.reconcile.conftest import Site
from tests.factories import people

PAGE = "/settings/environments"
FACTS = HostFacts("20.10.24", "Debian GNU/Linux 12", 4, 8 * 1024**3, "", ("seccomp", "rootless"))


@pytest.fixture
def as_operator(site: Site) -> Client:
    user = people.person("bob")
    people.bind(user, "operator")
    return browser(user)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Whether it answers may be changed."""
    told: dict[str, Any] = {"problem": ""}

    class Answering:
        def facts(self) -> HostFacts:
            if told["problem"]:
                raise HostSilent(told["problem"])
            return FACTS

    monkeypatch.setattr(adapters, "connect", lambda _: Answering())
    return told


def add(client: Client, **more: str) -> Any:
    given = {"name": "far", "address": "tcp://127.0.0.1:2375", "capacity": "8"} | more
    return client.post(f"{PAGE}/staging/hosts", given | {"dialog": "add-host-staging"}, headers=HX)


def silence(site: Site) -> None:
    long_ago = clock.now() - timedelta(hours=1)
    Host.objects.filter(pk=site.host_row.pk).update(
        last_contact_at=long_ago, last_error="No route to host"
    )


def test_the_page_says_that_a_host_makes_somebody_root(site: Site, as_charlie: Client) -> None:
    assert "is root on that machine" in text(as_charlie.get(PAGE))


def test_a_host_shows_its_engine_its_room_and_where_its_ports_are(
    site: Site, as_operator: Client, engine: dict[str, Any]
) -> None:
    answer = add(as_operator)
    assert (answer.status_code, answer["HX-Redirect"]) == (204, PAGE)
    page = text(as_operator.get(PAGE))
    for words in (
        "The host far is added; its Engine is Docker 20.10.24.",
        "Docker 20.10.24",
        "Debian GNU/Linux 12, 4 CPUs, 8.0 GiB, rootless",
        "0 of 8",
        "room for 8",
        "tcp://127.0.0.1:2375",
        "ports on",
        "Answers",
        "It lacks the base image",
    ):
        assert words in page, words


def test_an_engine_that_does_not_answer_is_told_in_the_dialog(
    site: Site, as_operator: Client, engine: dict[str, Any]
) -> None:
    engine["problem"] = "The Engine is not reached: Connection refused"
    answer = add(as_operator)
    assert answer.status_code == 422
    assert answer["HX-Retarget"] == "#add-host-staging-problem"
    assert "Connection refused" in text(answer)
    assert not Host.objects.filter(name="far").exists()


def test_a_certificate_without_its_key_is_told_in_the_dialog(
    site: Site, as_operator: Client, engine: dict[str, Any]
) -> None:
    answer = add(as_operator, certificate="x")
    assert answer.status_code == 422
    assert "come together" in text(answer)


def test_who_may_not_sees_why(site: Site, as_charlie: Client) -> None:
    page = text(as_charlie.get(PAGE))
    assert 'aria-describedby="why-add-host-staging"' in page
    assert 'aria-describedby="why-edit-staging-local"' in page
    assert add(as_charlie).status_code == 403


def test_capacity_is_edited_by_what_was_seen(site: Site, as_operator: Client) -> None:
    where = f"/settings/hosts/{site.host_row.public_id}/edit"
    given = {"capacity": "3", "revision": "1", "dialog": "edit-staging-local"}
    assert as_operator.post(where, given, headers=HX).status_code == 204
    site.host_row.refresh_from_db()
    assert site.host_row.capacity == 3
    again = as_operator.post(where, given, headers=HX)
    assert again.status_code == 409
    assert "Somebody has changed this" in text(again)


def test_giving_up_replicas_is_offered_for_a_silent_host_only(
    serving: Site, as_operator: Client
) -> None:
    Host.objects.filter(pk=serving.host_row.pk).update(last_contact_at=clock.now())
    assert "Replace its replicas elsewhere" not in text(as_operator.get(PAGE))
    silence(serving)
    page = text(as_operator.get(PAGE))
    assert "Replace its replicas elsewhere" in page
    assert "Silent is not empty" in page
    assert "No route to host" in page
    where = f"/settings/hosts/{serving.host_row.public_id}/replace-replicas"
    answer = as_operator.post(where, {"reason": "it burns"}, headers=HX)
    assert answer.status_code == 204
    assert "1 replica(s) of local are replaced elsewhere." in text(as_operator.get(PAGE))
    assert Replica.objects.get().failure["code"] == "host-abandoned"


def test_an_endpoint_says_which_of_its_replicas_are_out_of_sight(
    serving: Site, as_charlie: Client
) -> None:
    silence(serving)
    page = text(as_charlie.get("/endpoints/staging/tumour"))
    assert "Degraded" in page
    assert "no answer from local" in page
    assert "local, which does not answer" in page


def test_an_empty_host_is_removed(site: Site, as_operator: Client) -> None:
    where = f"/settings/hosts/{site.host_row.public_id}/remove"
    assert as_operator.post(where, {}, headers=HX).status_code == 204
    assert "No host: nothing can run here" in text(as_operator.get(PAGE))


def test_a_host_on_which_something_runs_is_not_removed(serving: Site, as_operator: Client) -> None:
    assert "1 replica(s) run on it." in text(as_operator.get(PAGE))
    where = f"/settings/hosts/{serving.host_row.public_id}/remove"
    assert as_operator.post(where, {}, headers=HX).status_code == 409


def test_the_region_refreshes_itself(site: Site, as_charlie: Client) -> None:
    region = text(as_charlie.get("/partials/environments"))
    assert 'data-topic="fleet"' in region
    assert "<html" not in region
