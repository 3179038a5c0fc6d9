import asyncio
from typing import Any

import pytest

from hydra_asgi.core.fragment import FragmentCause
from hydra_asgi.service.attributes import FragmentRequest
from hydra_asgi.service.calling import asked, call_function, cancel_all
from hydra_asgi.service.rendered import NotRenderedError
from tests.exchange import http_scope

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]}
BODY = {"type": "http.response.body", "body": b"<p>x</p>"}


async def test_html_before_the_app_returns() -> None:
    """The HTML is there when the response is complete; leaving waits for the app."""
    gate, steps = asyncio.Event(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(BODY)
        await gate.wait()
        steps.append("returned")

    async with asked(app, http_scope(), 100) as html:
        steps.append(html)
        gate.set()
    assert steps == ["<p>x</p>", "returned"]


async def test_failed_response_and_exception() -> None:
    """An app that sends an error page and raises is known by what it raised."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "status": 500})
        await send(BODY)
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        async with asked(app, http_scope(), 100):
            raise AssertionError("never entered")


async def test_failed_response() -> None:
    """An app that sends an error page and returns is known by its status."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "status": 500})
        await send(BODY)

    with pytest.raises(NotRenderedError) as caught:
        async with asked(app, http_scope(), 100):
            raise AssertionError("never entered")
    assert caught.value.cause is FragmentCause.STATUS


async def test_too_large() -> None:
    """An app that sends too much is stopped, whatever its status."""
    stopped = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({**START, "status": 500})
            await send({**BODY, "more_body": True})
            await asyncio.Event().wait()
        finally:
            stopped.set()

    with pytest.raises(NotRenderedError) as caught:
        async with asked(app, http_scope(), 3):
            raise AssertionError("never entered")
    assert caught.value.cause is FragmentCause.TOO_LARGE
    assert stopped.is_set()


async def test_incomplete() -> None:
    """An app that returns in the middle of its response rendered nothing."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)

    with pytest.raises(NotRenderedError) as caught:
        async with asked(app, http_scope(), 100):
            raise AssertionError("never entered")
    assert caught.value.cause is FragmentCause.BROKEN


async def none() -> str:
    return "none"


async def one(request: FragmentRequest) -> str:
    return request.ref


async def two(first: int, second: int) -> str:
    return ""


def synchronous() -> str:
    return ""


async def test_functions() -> None:
    """A function gets the request if it takes one argument."""
    request = FragmentRequest("x")
    assert await call_function(none, request) == "none"
    assert await call_function(one, request) == "x"


@pytest.mark.parametrize("function", [two, synchronous])
async def test_wrong_functions(function: Any) -> None:
    """A function that takes more, or is not asynchronous, is refused with the reason."""
    with pytest.raises(NotRenderedError, match=r"takes 2 arguments|neither a route"):
        await call_function(function, FragmentRequest("x"))


async def test_cancel_all() -> None:
    """Tasks end, and errors of those that had failed are nobody's any more."""

    async def fail() -> None:
        raise ValueError("boom")

    async def wait() -> None:
        await asyncio.Event().wait()

    failed, waiting = asyncio.create_task(fail()), asyncio.create_task(wait())
    await asyncio.wait({failed})
    await cancel_all([failed, waiting])
    assert failed.done()
    assert waiting.cancelled()
    await cancel_all([])
