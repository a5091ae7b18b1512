"""A real browser that notices what people would not forgive."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.plugin_tiers import chromium

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 320, "height": 700}

# Told to the page before anything of it runs: every breach of the policy is kept.
_WATCH_POLICY = """
window.__breaches = [];
document.addEventListener('securitypolicyviolation', (event) =>
  window.__breaches.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
"""


@dataclass
class Window:
    """One page of one person, and all that went wrong on it."""

    page: Page
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        response = self.page.goto(path)
        assert response is not None
        assert response.status < 400, f"{path}: {response.status}"

    def live(self) -> None:
        """Wait until the page hears of changes."""
        self.page.wait_for_selector("[data-live=on]", state="attached")

    def complaints(self) -> list[str]:
        """What axe finds, breaches of the policy, errors, requests to other hosts."""
        found = Axe().run(self.page).response["violations"]
        axe = [f"{each['id']}: {each['nodes'][0]['target']}" for each in found]
        breaches: list[str] = self.page.evaluate("window.__breaches")
        return [*axe, *breaches, *self.errors, *self.elsewhere]

    def sideways(self) -> int:
        """By how many pixels the page has to be scrolled sideways."""
        width: int = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return width

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)


class Person:
    """Somebody with a browser. `state` is what being signed in left in it."""

    def __init__(self, browser: Browser, base_url: str, state: Any = None) -> None:
        self.browser, self.base_url, self.state = browser, base_url, state

    @contextmanager
    def window(self, **options: Any) -> Iterator[Window]:
        options = {"viewport": WIDE, "color_scheme": "light"} | options
        context: BrowserContext = self.browser.new_context(
            base_url=self.base_url, storage_state=self.state, **options
        )
        context.add_init_script(_WATCH_POLICY)
        window = Window(context.new_page())
        window.page.on("console", window._console)
        window.page.on("pageerror", lambda problem: window.errors.append(str(problem)))
        window.page.on("request", lambda request: _note(window, request.url, self.base_url))
        try:
            yield window
        finally:
            context.close()

    def sign_in(self, link: str) -> None:
        """By a one-time link, as the terminal prints it."""
        with self.window() as window:
            window.page.goto(link)
            window.page.wait_for_url(re.compile(f"^{re.escape(self.base_url)}/$"))
            self.state = window.page.context.storage_state()


def _note(window: Window, url: str, base_url: str) -> None:
    if not url.startswith((base_url, "data:", "blob:", "ws")):
        window.elsewhere.append(f"asked {url}")


@contextmanager
def launched() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()
