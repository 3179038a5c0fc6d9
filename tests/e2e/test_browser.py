"""The example site in a real browser: what a visitor sees, composed and with the fallback."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.browser import chromium, open_page
from tests.e2e.processes import wait_until
from tests.e2e.test_example_site import FALLBACK, Site

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Site]:
    chromium()
    site = Site(tmp_path)
    try:
        site.start()
        yield site
    finally:
        site.process.kill()


def test_a_visitor_sees_one_site(running: Site) -> None:
    """The checkout is part of the page, the menu leads to the other app, nothing fails to load."""
    problems: list[str] = []
    home = f"http://127.0.0.1:{running.port}/"
    with open_page() as page:
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("requestfailed", lambda request: problems.append(request.url))
        page.on("response", lambda response: problems.append(response.url) if response.status >= 400 else None)
        page.goto(home)
        assert page.get_by_role("heading", name="Checkout").is_visible()
        assert page.locator("m\\:fragment").count() == 0
        page.get_by_role("link", name="Orders").first.click()
        assert page.url == f"{home}orders"
        assert page.get_by_role("heading", name="Your orders").is_visible()
        # Its style sheet came through the gateway too.
        assert page.evaluate("[...document.styleSheets].every(sheet => sheet.cssRules.length > 0)")
        page.get_by_role("link", name="Shop").first.click()
        assert page.url == home
    assert problems == []


def test_a_visitor_sees_the_fallback(running: Site) -> None:
    """With the other app gone, the page stands, shows its fallback, and the menu does without that app."""
    for pid in running.pids("orderService"):
        os.kill(pid, signal.SIGKILL)
    with open_page() as page:
        wait_until(lambda: FALLBACK in running.home().body, "the fallback")
        page.goto(f"http://127.0.0.1:{running.port}/")
        assert page.get_by_role("heading", name=FALLBACK).is_visible()
        assert page.get_by_role("heading", name="Stoneware").is_visible()
        wait_until(lambda: 'href="/orders"' not in running.home().body, "the menu does without it", 8)
