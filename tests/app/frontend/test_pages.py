"""Who sees which page, and what stands on it."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tests.app.frontend.conftest import ENDPOINT, HX, browser, text
from tests.app.reconcile.conftest import Site

PAGES = (
    "/",
    ENDPOINT,
    "/models",
    "/models/tumour",
    "/keys",
    "/settings/environments",
    "/settings/tokens",
    "/settings/account",
    "/styleguide/",
)
GUARDED = [path for path in PAGES if path not in ("/settings/account", "/styleguide/")]
PARTIALS = (
    "/partials/fleet",
    *(f"/partials{ENDPOINT}/{part}" for part in ("head", "body", "figures", "summary", "table")),
)


@pytest.mark.parametrize("path", [*PAGES, *PARTIALS])
def test_alice_and_charlie_see_it(
    serving: Site, as_alice: Client, as_charlie: Client, path: str
) -> None:
    assert as_alice.get(path).status_code == 200
    assert as_charlie.get(path).status_code == 200


def test_mallory_sees_that_they_have_no_role_and_whom_to_ask(as_mallory: Client) -> None:
    assert "Ask an administrator" in text(as_mallory.get("/settings/account"))


@pytest.mark.parametrize("path", [*GUARDED, *PARTIALS, "/audit"])
def test_mallory_is_told_which_permission_is_missing(as_mallory: Client, path: str) -> None:
    response = as_mallory.get(path)
    assert response.status_code in (403, 404)
    if response.status_code == 403:
        assert "You may not see this" in text(response)


@pytest.mark.parametrize("path", [*PAGES, "/audit"])
def test_whoever_is_not_signed_in_is_sent_to_sign_in_and_comes_back(site: Site, path: str) -> None:
    response = browser(None).get(path)
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/?next=")


def test_a_region_that_refreshes_itself_is_sent_to_sign_in_as_a_whole_page(site: Site) -> None:
    headers = HX | {"HX-Current-URL": "http://testserver/?show=human"}
    response = browser(None).get("/partials/fleet", headers=headers)
    assert response.status_code == 401
    assert response["HX-Redirect"] == "/accounts/login/?next=%2F%3Fshow%3Dhuman"


def test_what_is_absent_and_what_is_invisible_look_the_same(
    serving: Site, as_charlie: Client
) -> None:
    response = as_charlie.get("/endpoints/staging/nothing")
    assert response.status_code == 404
    assert "There is nothing here" in text(response)


def test_the_audit_log_is_for_those_who_may_read_it(
    serving: Site, as_alice: Client, as_admin: Client
) -> None:
    assert as_alice.get("/audit").status_code == 403
    page = text(as_admin.get("/audit?action=rollout.start"))
    assert page.count("<code>rollout.start</code>") == 2
    assert "rollout.finish" not in page


def test_an_empty_page_gives_the_one_command_that_fills_it(
    site: Site, as_alice: Client, as_admin: Client
) -> None:
    assert "slipway push my.onnx" in text(as_alice.get("/"))
    assert "slipway login" in text(as_alice.get("/settings/tokens"))
    nothing = text(as_admin.get("/audit?action=model.create"))
    assert "/api/v1/audit-events" in nothing


def test_the_fleet_says_what_runs_where(serving: Site, as_charlie: Client) -> None:
    page = text(as_charlie.get("/"))
    assert f'href="{ENDPOINT}"' in page
    assert "Serving version 2 with 1 replica." in page
    assert '<td data-label="Live" class="nowrap">version 2</td>' in page


def test_a_filter_of_the_fleet_stays_while_its_region_refreshes(
    serving: Site, as_charlie: Client
) -> None:
    page = text(as_charlie.get("/?show=human"))
    assert 'hx-get="/partials/fleet?show=human"' in page
    assert "No endpoint matches this filter." in page


def test_the_endpoint_shows_state_split_replicas_timeline_and_lines_to_copy(
    serving: Site, as_charlie: Client
) -> None:
    page = text(as_charlie.get(ENDPOINT))
    assert '<h1 id="page-title">tumour</h1>' in page
    assert "version 2 gets 100 %" in page
    assert "Rollout 2: version 1 → version 2" in page
    assert "curl -sS http://east/v2/models/tumour/infer" in page
    assert "slipway status tumour -e staging --watch" in page
    assert len(re.findall(r"<h1[ >]", page)) == 1


def test_a_rollout_that_moves_has_a_step_bar_and_one_sentence(
    serving: Site, as_alice: Client
) -> None:
    serving.baking(serving.start(3))
    page = text(as_alice.get(f"/partials{ENDPOINT}/head"))
    assert 'data-state="current" aria-current="step"' in page
    assert "Baking version 3" in page


def test_a_failed_rollout_shows_its_evidence_and_what_serves_meanwhile(
    serving: Site, as_alice: Client
) -> None:
    serving.host.fail_with = (4, '{"event":"model-load-failed","message":"It is too wide."}')
    serving.finish(serving.start(3))
    page = text(as_alice.get(ENDPOINT))
    assert "Serving version 2 with 1 replica." in page
    assert "the model could not be loaded in its replica: It is too wide." in page
    assert "Log of the replica, last lines" in page
    assert "See the evidence" in page


def test_the_story_of_a_rollout_is_told_line_by_line(serving: Site, as_charlie: Client) -> None:
    rollout = serving.endpoint.rollouts.get(number=1)
    page = text(as_charlie.get(f"/partials/rollouts/{rollout.public_id}/story"))
    assert "Started by alice." in page


def test_figures_are_json_without_anything_to_run(serving: Site, as_charlie: Client) -> None:
    response = as_charlie.get(f"/partials{ENDPOINT}/figures")
    assert response["Content-Type"] == "application/json"
    assert set(response.json()["figures"]) == {"requests", "errors", "latency"}


def test_pages_are_not_kept_by_anybody(serving: Site, as_charlie: Client) -> None:
    assert "no-store" in as_charlie.get("/")["Cache-Control"]


def test_the_policy_allows_no_inline_script(serving: Site, as_charlie: Client) -> None:
    policy = as_charlie.get("/")["Content-Security-Policy"]
    assert "script-src 'self';" in f"{policy};"
    assert "unsafe" not in policy


def test_the_theme_is_rendered_by_the_server(site: Site, as_charlie: Client) -> None:
    assert '<html lang="en" data-theme="system">' in text(as_charlie.get("/"))
    chosen = as_charlie.post("/settings/theme", {"theme": "dark", "next": "/models"})
    assert chosen["Location"] == "/models"
    assert '<html lang="en" data-theme="dark">' in text(as_charlie.get("/"))


def test_choosing_a_theme_leads_nowhere_else(site: Site) -> None:
    answer = browser(None).post(
        "/settings/theme", {"theme": "light", "next": "https://elsewhere.example/"}
    )
    assert answer["Location"] == "/"
    assert browser(None).post("/settings/theme", {"theme": "pink"}).status_code == 400


@pytest.mark.parametrize("address", ["/endpoints/%00/x", "/models/a%00", "/?environment=%00"])
def test_a_nul_in_an_address_is_refused(site: Site, as_charlie: Client, address: str) -> None:
    assert as_charlie.get(address).status_code == 400
