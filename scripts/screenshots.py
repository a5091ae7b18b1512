"""Take the pictures of docs/images from a running demo.

    make demo                                        # in one terminal, to the end of its story
    .venv/bin/python scripts/screenshots.py LINK     # in another, with a login link

LINK is one-time; another one comes from
`SLIPWAY_HOME=var/demo .venv/bin/python manage.py login_link admin`.
Needs what `make setup-dev` installs, and Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
PAGE = "/endpoints/staging/tumour"
SIZE = {"width": 1280, "height": 1120}
CHART = "[data-module~=charts] .main-svg, .js-plotly-plot .main-svg"
MOST_BYTES = 300 * 1024
SETTLE_MILLISECONDS = 3000


def take(link: str) -> None:
    """One picture in each colour scheme; SystemExit when one is too large for a README."""
    origin = urlsplit(link)
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.goto(link)
        if page.get_by_role("button", name="Sign in").is_visible():
            page.get_by_role("button", name="Sign in").click()
        for scheme, name in (("light", "endpoint.png"), ("dark", "endpoint-dark.png")):
            page.emulate_media(color_scheme=scheme)
            page.goto(f"{origin.scheme}://{origin.netloc}{PAGE}")
            page.wait_for_selector(CHART)
            page.wait_for_timeout(SETTLE_MILLISECONDS)
            target = IMAGES / name
            page.screenshot(path=target)
            if target.stat().st_size > MOST_BYTES:
                sys.exit(f"{target} has more than {MOST_BYTES} bytes")
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("link", help="a one-time login link")
    take(parser.parse_args().link)
