"""What composing adds to a page of 32 KB, and how fast pages are scanned for tags."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from benchmarks.in_process import CASE_SECONDS, Case, cpu_micros
from hydra_asgi.core.fragment import FragmentAnswer, FragmentQuestion, PageContext
from hydra_asgi.core.html.scanner import Scanner
from hydra_asgi.gateway.compose import Composer

__all__ = ["cases"]

_App = Callable[..., Awaitable[None]]

_PIECE = 16384
_PIECES = 2
_HEAD = (
    b"<!doctype html>\n<html lang=en><head><meta charset=utf-8><title>Orders</title>\n"
    b'<link rel="stylesheet" href="/orders/static/app.css?v=20"><meta name="viewport" content="width=device-width">\n'
    + b"<style>"
    + b"main > p.note { color: #123456; margin: 0 auto }\n" * 20
    + b"</style>\n"
    + b"<script>"
    + b'if (a < b && c > d) { document.title = "<b>" + a + "</b>"; }\n' * 20
    + b"</script></head><body>\n"
)
_ROW = (
    b'<article class="order" id="order-4711"><h2><a href="/orders/4711?tab=lines" title="Order 4711">4711</a></h2>\n'
    b"  <p>Two pairs of shoes &amp; a hat, to be sent on <time datetime='2026-11-24'>Monday</time> to the address that "
    b"we know from your last order. If one of them does not fit, send it back within <em>thirty days</em>, and we pay "
    b"for the way back too. Nothing else has to be done.</p>\n"
    b'  <!-- the picture comes from the shop --><img src="/shop/static/4711.jpg" alt="shoes" width=320 height=200>\n'
    b'  <ul class="actions"><li><a class="button" href="/orders/4711/pay">Pay</a></li><li>Print</li></ul></article>\n'
)
_TAG = b'<m:fragment service="orders" ref="checkout" imports="dob">Not available</m:fragment>\n'
_FRAGMENT = "<section>" + "<p>rendered by another app</p>" * 20 + "</section>"

_SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"shop.test"), (b"accept", b"text/html")]}


def cases() -> list[Case]:
    """The figures of this module."""
    nothing, one, ten = (_page(fragments) for fragments in (0, 1, 10))
    bare = _cpu_of(_app_of(nothing), composed=False)
    return [
        Case("compose/bare", "a page without composer", "us", bare),
        Case("compose/pass", "the same page through the composer, no tag", "us", _cpu_of(_app_of(nothing))),
        Case("compose/1", "a page with 1 fragment", "us", _cpu_of(_app_of(one))),
        Case("compose/10", "a page with 10 fragments", "us", _cpu_of(_app_of(ten))),
        Case("scan/plain", "scan pages without a tag, pieces of 32 KB", "MB/s", partial(_scan, _text(0)), "150"),
        Case("scan/tags", "scan pages with a tag in every 3 KB", "MB/s", partial(_scan, _text(11))),
    ]


def _text(tags: int) -> bytes:
    """About 32 KB of ordinary HTML with tags spread over it."""
    rows = [_ROW] * ((_PIECE * _PIECES - len(_HEAD)) // len(_ROW))
    for number in range(tags):
        rows.insert((number + 1) * len(rows) // (tags + 1), _TAG)
    return _HEAD + b"".join(rows)


def _page(tags: int) -> list[bytes]:
    text = _text(tags)
    cut = len(text) // _PIECES
    return [text[:cut], text[cut:]]


def _app_of(pieces: Sequence[bytes]) -> _App:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


class _Fragments:
    """A source that knows every answer at once."""

    async def ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncIterator[FragmentAnswer]:
        for question in questions:
            yield FragmentAnswer(question.id, _FRAGMENT)


def _cpu_of(app: _App, *, composed: bool = True) -> Callable[[], float]:
    """What measures the CPU microseconds of one request."""
    run = partial(Composer(_Fragments()), app) if composed else app

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()  # the client says nothing more
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        pass

    async def repeat(count: int) -> None:
        for _ in range(count):
            await run(_SCOPE, receive, send)

    return lambda: cpu_micros(lambda count: asyncio.run(repeat(count)))


def _scan(piece: bytes) -> float:
    """Megabytes in a CPU second."""
    scanner, size, start = Scanner(), 0, time.process_time()
    while (seconds := time.process_time() - start) < CASE_SECONDS:
        scanner.feed(piece)
        size += len(piece)
    return size / seconds / 1e6
