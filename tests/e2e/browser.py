"""A real Chromium, for tests whose product is a page, and for the pictures in the documentation.

python -m tests.e2e.browser http://127.0.0.1:8000/ docs/images/composed.png
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

__all__ = ["chromium", "open_page"]

_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]


def chromium() -> str:
    """The browser's path. Without one a test is skipped, except on CI, where a missing part is a failure."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium on CI: install the package chromium")
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    return path


@contextlib.contextmanager
def open_page(*, width: int = 1280, height: int = 1180, dark: bool = False) -> Iterator[Page]:
    """A page in a browser of its own; console errors and failed requests are collected in `page.problems`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=_QUIET)
        try:
            yield browser.new_page(
                viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
            )
        finally:
            browser.close()


if __name__ == "__main__":
    url, file = sys.argv[1:3]
    with open_page() as page:
        page.goto(url)
        page.screenshot(path=file)
