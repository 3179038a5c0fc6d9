"""Calls what renders a fragment: an ASGI app, until its response is complete, or a plain function."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from hydra_asgi.core.fragment import FragmentCause
from hydra_asgi.service.attributes import FragmentRequest
from hydra_asgi.service.internal_request import ResponseRecorder
from hydra_asgi.service.rendered import NotRenderedError, html_of_response

__all__ = ["ASGIApp", "asked", "call_function", "cancel_all"]

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


@asynccontextmanager
async def asked(app: ASGIApp, scope: dict[str, Any], limit: int) -> AsyncIterator[str]:
    """Ask an app and give its HTML as soon as the response is complete; leaving waits for the app to return.

    Args:
        app: any ASGI app.
        scope: of the request.
        limit: the most bytes of body, before and after decompression.

    Raises:
        NotRenderedError: the response is no HTML.
        Exception: what the app raised, also after its response.
    """
    recorder = ResponseRecorder(limit)
    running = asyncio.create_task(_run(app, scope, recorder))
    try:
        await _until_complete(running, recorder)
        yield _html_of(recorder, limit)
        await running
    finally:
        await cancel_all([running])


async def _run(app: ASGIApp, scope: dict[str, Any], recorder: ResponseRecorder) -> None:
    await app(scope, recorder.receive, recorder.send)


async def _until_complete(running: asyncio.Task[None], recorder: ResponseRecorder) -> None:
    """Wait for the response; for a failed one also for the app's end, which often tells why by raising."""
    ended = asyncio.create_task(recorder.ended.wait())
    try:
        await asyncio.wait({running, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_all([ended])
    if not recorder.ended.is_set() or (recorder.status != 200 and not recorder.is_too_large):
        await running


def _html_of(recorder: ResponseRecorder, limit: int) -> str:
    if recorder.is_too_large:
        raise NotRenderedError(FragmentCause.TOO_LARGE, f"more than {limit} bytes")
    if not recorder.ended.is_set():
        raise NotRenderedError(FragmentCause.BROKEN, "the app returned before its response was complete")
    return html_of_response(recorder.status, recorder.headers, recorder.body, limit)


async def call_function(function: Callable[..., Any], request: FragmentRequest) -> object:
    """Call a plain function with what it takes: nothing, or the request.

    Raises:
        NotRenderedError: it is not asynchronous, or takes something else.
        Exception: what the function raised.
    """
    if not inspect.iscoroutinefunction(function):
        raise NotRenderedError(
            FragmentCause.FAILED, "it is neither a route of the app that answers GET nor an async function"
        )
    wanted = len(inspect.signature(function).parameters)
    if wanted > 1:
        raise NotRenderedError(FragmentCause.FAILED, f"it takes {wanted} arguments, expected none or the request")
    result: object = await (function(request) if wanted else function())
    return result


async def cancel_all(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """End tasks and wait for their end. Their errors were either reported or belong to nobody any more."""
    unfinished = [task for task in tasks if not task.done()]
    for task in unfinished:
        task.cancel()
    if unfinished:
        await asyncio.wait(unfinished)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()
