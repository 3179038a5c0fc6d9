"""The page that is scraped."""

import threading
from typing import Any

import pytest

from hydra_asgi.control.metrics_page import MetricsPage
from tests.doubles.server import lifespan
from tests.exchange import exchange, http_scope

HOST = (b"host", b"site.test")


class Page:
    """A page that says what it was asked for, and where it was written."""

    def __init__(self, **options: Any) -> None:
        self.prepared: list[threading.Thread] = []
        self.written: list[threading.Thread] = []
        self.app = MetricsPage(
            self._render, prepare=lambda: self.prepared.append(threading.current_thread()), **options
        )

    def _render(self, accept: str) -> tuple[str, bytes]:
        self.written.append(threading.current_thread())
        return "text/plain; version=9", f"accept {accept}".encode()


async def test_a_scrape() -> None:
    """The page comes in the form that was asked for, and no cache keeps it."""
    page = Page()
    answer = await exchange(page.app, http_scope(headers=[HOST, (b"accept", b"application/openmetrics-text")]))
    assert (answer.status, answer.body) == (200, b"accept application/openmetrics-text")
    assert answer.header(b"content-type") == b"text/plain; version=9"
    assert answer.header(b"content-length") == b"35"
    assert answer.header(b"cache-control") == b"no-store"


async def test_the_loop_does_not_write_pages() -> None:
    """The node is read on the loop, and thousands of lines are written beside it."""
    page = Page()
    await exchange(page.app)
    assert page.prepared == [threading.current_thread()]
    assert page.written != page.prepared


async def test_methods() -> None:
    """HEAD says how long it would be; nothing but reading is possible."""
    head = await exchange(Page().app, http_scope(method="HEAD"))
    assert (head.status, head.body, head.header(b"content-length")) == (200, b"", b"7")
    post = await exchange(Page().app, http_scope(method="POST"))
    assert (post.status, post.header(b"allow")) == (405, b"GET, HEAD")


@pytest.mark.parametrize(
    ("client", "fields", "status"),
    [
        (("10.0.0.1", 1), [], 200),
        (("192.0.2.1", 1), [], 404),
        (None, [], 404),
        (("10.0.0.1", 1), [(b"X-Forwarded-For", b"10.0.0.1")], 404),
        (("10.0.0.1", 1), [(b"forwarded", b"for=10.0.0.1")], 404),
        (("10.0.0.1", 1), [(b"via", b"1.1 edge")], 404),
        (("10.0.0.1", 1), [(b"x-real-ip", b"10.0.0.1")], 404),
    ],
)
async def test_who_may_see_it(client: Any, fields: list[tuple[bytes, bytes]], status: int) -> None:
    """Inner callers see it; for others, and for whoever comes through a proxy, it is not there."""
    page = Page(is_inner=lambda ip: ip.startswith("10."))
    answer = await exchange(page.app, {**http_scope(headers=[HOST, *fields]), "client": client})
    assert answer.status == status


async def test_an_app_of_its_own() -> None:
    """On a listener of its own it lives, and knows no sockets."""
    page = Page()
    async with lifespan(page.app):
        pass
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await page.app({"type": "websocket"}, None, send)  # type: ignore[typeddict-item, arg-type]
    assert sent == ["websocket.close"]
