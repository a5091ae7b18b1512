"""What a person does and sees in a real browser."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import NARROW, WIDE, Person
from tests.e2e.conftest import serve
from tests.integration.stack import Stack

ENDPOINT = "/endpoints/staging/tumour"
PAGES = (
    "/",
    ENDPOINT,
    "/models",
    "/models/tumour",
    "/keys",
    "/audit",
    "/settings/environments",
    "/settings/tokens",
    "/settings/account",
    "/accounts/2fa/",
    "/styleguide/",
)
PATIENCE_MS = 45_000

NEWEST = "() => document.querySelector('[data-module=chart]').dataset.newest"
NEWER = """(before) => {
  const { newest } = document.querySelector('[data-module=chart]').dataset;
  return newest !== undefined && newest !== before;
}"""
DRAWN = """(name) => {
  const { data } = document.querySelector(`[data-chart=${name}]`);
  const trace = [...data].sort((one, other) => one.x.at(-1) - other.x.at(-1)).at(-1);
  return [trace.x.length, trace.x.at(-1), trace.y.at(-1)];
}"""


def wait_for_drawing(page: Page, chart: str = "requests") -> None:
    page.wait_for_function(
        "(name) => document.querySelector(`[data-chart=${name}]`)?.data?.length > 0",
        arg=chart,
        timeout=PATIENCE_MS,
    )


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_anything_to_complain_about(admin: Person, traffic: None, path: str) -> None:
    for size, scheme in ((WIDE, "light"), (WIDE, "dark"), (NARROW, "dark")):
        with admin.window(viewport=size, color_scheme=scheme) as window:
            window.open(path)
            window.live()
            if path == ENDPOINT:
                window.page.locator("[data-chart=latency]").scroll_into_view_if_needed()
                wait_for_drawing(window.page, "latency")
            assert window.complaints() == []
            assert window.sideways() == 0


def test_whoever_is_not_signed_in_is_asked_to_and_gets_where_they_wanted(
    admin: Person, stack: Stack
) -> None:
    stranger = Person(admin.browser, stack.web_url)
    with stranger.window() as window:
        window.open(ENDPOINT)
        assert window.complaints() == []
        window.page.get_by_label("Username").fill(stack.link["username"])
        window.page.get_by_label("Password").fill(stack.link["password"])
        window.page.get_by_role("button", name="Sign in").click()
        window.page.wait_for_url(f"**{ENDPOINT}")


def test_a_link_that_was_used_says_so(admin: Person, stack: Stack) -> None:
    with Person(admin.browser, stack.web_url).window() as window:
        window.page.goto(stack.link["url"])
        expect(window.page.get_by_role("heading", name="no longer works")).to_be_visible()


def test_the_chart_moves_within_two_seconds_of_the_traffic(admin: Person, traffic: None) -> None:
    with admin.window() as window:
        window.open(ENDPOINT)
        window.live()
        wait_for_drawing(window.page)
        seen: list[tuple[float, Any]] = []
        for _ in range(4):
            before = window.page.evaluate(NEWEST)
            window.page.wait_for_function(NEWER, arg=before, timeout=PATIENCE_MS)
            newest = float(window.page.evaluate(NEWEST))
            points, at, value = window.page.evaluate(DRAWN, "requests")
            assert at == 1000 * newest, "what came is not drawn"
            seen.append((time.time() - newest, (points, value)))
        # Of four, one that a busy machine held up says nothing about the product.
        assert min(late for late, _ in seen) < 2.0, seen
        assert all(value > 0 for _, (_, value) in seen), seen


def test_roll_back_is_pressed_and_its_result_seen(
    admin: Person, stack: Stack, traffic: None
) -> None:
    serve(stack, 2)
    with admin.window() as window:
        page = window.page
        window.open(ENDPOINT)
        window.live()
        head = page.locator("#endpoint-head")
        head.get_by_role("button", name="Roll back").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("all traffic goes to them")
        dialog.get_by_label("Reason").fill("It scores too low.")
        # The page goes on refreshing; what somebody types must survive that.
        page.wait_for_timeout(2_000)
        expect(dialog.get_by_label("Reason")).to_have_value("It scores too low.")
        dialog.get_by_role("button", name="Roll back").click()
        expect(dialog).to_be_hidden()
        sentence = page.locator("#endpoint-sentence")
        expect(sentence).to_have_text("Serving version 1 with 1 replica.", timeout=PATIENCE_MS)
        newest = page.locator(".timeline > li").first
        expect(newest).to_contain_text("back to version 1")
        expect(newest).to_contain_text("It scores too low.")
        expect(page.get_by_role("region", name="Traffic split")).to_contain_text("100 % version 1")
        assert window.complaints() == []
    assert stack.answering_version() == "1"


def test_a_rollout_is_started_watched_and_promoted_by_hand(
    admin: Person, stack: Stack, traffic: None
) -> None:
    serve(stack, 1)
    stack.edit_environment(bake_seconds=600)
    try:
        with admin.window() as window:
            page = window.page
            window.open("/models/tumour")
            page.get_by_role("button", name="Roll out a version").click()
            dialog = page.get_by_role("dialog")
            dialog.get_by_label("Version").select_option("2")
            dialog.get_by_label("Environment").select_option("staging")
            assert window.complaints() == []
            dialog.get_by_role("button", name="Start the rollout").click()
            page.wait_for_url(f"**{ENDPOINT}")
            current = page.locator(".step[data-state=current]")
            expect(current).to_contain_text("Bake", timeout=PATIENCE_MS)
            expect(page.locator("#endpoint-sentence")).to_contain_text("Baking version 2")
            assert window.complaints() == []
            page.get_by_role("button", name="Promote").click()
            page.get_by_role("dialog").get_by_role("button", name="Promote").click()
            expect(page.locator("#endpoint-sentence")).to_have_text(
                "Serving version 2 with 1 replica.", timeout=PATIENCE_MS
            )
    finally:
        stack.edit_environment(bake_seconds=stack.lasting.bake)


def test_what_cannot_run_is_refused_with_its_evidence(admin: Person, stack: Stack) -> None:
    serve(stack, 2)
    rollout = stack.deploy(3)
    with admin.window() as window:
        page = window.page
        window.open(ENDPOINT)
        trouble = page.locator("#endpoint-head .notice[data-tone=danger]")
        expect(trouble).to_contain_text("could not be loaded", timeout=PATIENCE_MS)
        page.locator(f"#evidence-{rollout.id} summary").click()
        expect(page.locator(f"#evidence-{rollout.id}")).to_contain_text("model-load-failed")
        page.locator(f"#story-{rollout.id} summary").click()
        expect(page.locator(f"#story-{rollout.id}")).to_contain_text("Started by admin")
        assert window.complaints() == []
        window.open("/")
        expect(page.locator("#fleet")).to_contain_text("could not be loaded")
    assert stack.answering_version() == "2"


def test_the_chart_can_be_read_as_a_table(admin: Person, traffic: None) -> None:
    with admin.window() as window:
        window.open(ENDPOINT)
        window.page.get_by_text("Show data as table").click()
        rows = window.page.locator("[data-table] tbody tr")
        # Which version answers depends on what other tests rolled out before.
        expect(rows.first).to_contain_text(re.compile(r"version [12]"), timeout=PATIENCE_MS)
        assert window.complaints() == []


def test_keys_go_places_and_change_nothing(admin: Person, stack: Stack) -> None:
    with admin.window() as window:
        page = window.page
        window.open("/")
        window.live()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_contain_text("Go to models")
        assert window.complaints() == []
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        expect(page.locator("[data-row] a").first).to_be_focused()
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{ENDPOINT}")
        page.keyboard.press("g")
        page.keyboard.press("m")
        page.wait_for_url("**/models")
        page.keyboard.press("/")
        expect(page.get_by_role("searchbox")).to_be_focused()
        page.keyboard.type("gm?")
        expect(page.get_by_role("searchbox")).to_have_value("gm?")


def test_the_theme_changes_at_once_and_stays(admin: Person) -> None:
    with admin.window(color_scheme="light") as window:
        page = window.page
        window.open("/")
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        with page.expect_response("**/settings/theme"):
            page.get_by_role("button", name="Dark theme").click()
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert light != dark
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
        assert window.complaints() == []


def test_a_restart_of_web_is_survived_by_an_open_page(
    admin: Person, stack: Stack, traffic: None
) -> None:
    with admin.window() as window:
        page = window.page
        window.open(ENDPOINT)
        window.live()
        stack.kill("web")
        page.wait_for_selector("[data-live=off]", state="attached", timeout=PATIENCE_MS)
        page.wait_for_selector("[data-live=on]", state="attached", timeout=PATIENCE_MS)
        expect(page.locator("[data-live-banner]")).to_be_hidden()
        before = page.evaluate(NEWEST)
        page.wait_for_function(NEWER, arg=before, timeout=PATIENCE_MS)


def test_a_key_is_issued_copied_rotated_and_revoked(admin: Person, stack: Stack) -> None:
    serve(stack, 2)
    with admin.window() as window:
        page = window.page
        window.open("/keys?environment=staging")
        page.get_by_label("Name").fill("ward 7")
        page.get_by_role("checkbox", name="tumour").check()
        page.get_by_label("Requests per day").fill("1000")
        page.get_by_role("button", name="Issue the key").click()
        shown = page.get_by_label("The new key")
        expect(shown).to_be_visible()
        first = shown.inner_text()
        assert window.complaints() == []
        page.get_by_role("link", name="ward 7", exact=True).click()
        expect(page.get_by_role("heading", name="ward 7", exact=True)).to_be_visible()
        assert window.complaints() == []
        page.get_by_role("button", name="Rotate").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Overlap").fill("0")
        assert window.complaints() == []
        dialog.get_by_role("button", name="Rotate the key").click()
        expect(shown).to_be_visible()
        assert shown.inner_text() != first
        page.get_by_role("button", name="Revoke").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke the key").click()
        expect(page.get_by_text("gateways refuse it within a second")).to_be_visible()
        expect(page.locator(".title-row .badge")).to_have_text("Revoked")
        assert window.complaints() == []


def test_opening_an_endpoint_warns_and_then_says_so(admin: Person, stack: Stack) -> None:
    serve(stack, 2)
    with admin.window() as window:
        page = window.page
        window.open(ENDPOINT)
        window.live()
        page.get_by_role("button", name="Open to everybody").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("without a key and without a limit")
        assert window.complaints() == []
        dialog.get_by_role("button", name="Open to everybody").click()
        head = page.locator("#endpoint-head")
        expect(head).to_contain_text("Whoever reaches the gateway may ask this endpoint")
        page.get_by_role("button", name="Ask for keys again").click()
        page.get_by_role("dialog").get_by_role("button", name="Ask for keys again").click()
        expect(head.get_by_text("Whoever reaches the gateway")).to_be_hidden()
        assert window.complaints() == []
