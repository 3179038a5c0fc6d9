"""Renders the app's own fragments: a route by a request that never leaves the process, a plain function by a call.

Every question runs in a task of its own, in a fresh context: a fragment is a request of its own and inherits neither
the context variables of the page nor the framework's "current request". The tasks belong to the generator; none
outlives it. A route's answer is given as soon as its body is complete; what the app does after that (background
tasks, teardown) may go on until the page's deadline and is cancelled with the generator.
"""

import asyncio
import contextvars
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any

from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.core.fragments.fragment_lending import lent_by_page
from hydra_asgi.errors import PickError
from hydra_asgi.ports import Picker
from hydra_asgi.service.attributes import ATTRIBUTES, FragmentRequest, imported_attributes
from hydra_asgi.service.calling import ASGIApp, asked, call_function, cancel_all
from hydra_asgi.service.declarations import Declarations, DeclaredFragment
from hydra_asgi.service.document_body import body_of
from hydra_asgi.service.internal_request import PathError, filled_path, internal_scope
from hydra_asgi.service.rendered import NotRenderedError, html_of_result

__all__ = ["MAX_BYTES", "LocalFragments"]

MAX_BYTES = 2 * 1024 * 1024
"""The largest fragment: far above any panel, far below what would hurt the page's process."""

_log = logging.getLogger("hydra_asgi.fragments")


class LocalFragments:
    """The fragments of the mounted app, as a `FragmentSource`.

    Args:
        service: the app's own name, for the log.
        declarations: which fragments there are.
        app: what an internal request is sent through: the framework's stack, or our composer around it so that tags
            in the fragment are resolved too.
        path_of: the path template, inside the app, at which a function answers GET; None when it is no route.
        picker: takes one element out of a page, for fragments declared with `select`.
        forward: names of headers, and `cookie:NAME`, that a fragment gets of the page's request.
        root_path: where the app is mounted; asked for each request.
        base: what every scope of the app carries, such as `app` and the lifespan's `state`; asked for each request.
        limit: the most bytes of a fragment, after decompression.
    """

    def __init__(
        self,
        *,
        service: str,
        declarations: Declarations,
        app: ASGIApp,
        path_of: Callable[[object], str | None],
        picker: Picker,
        forward: Iterable[str] = (),
        root_path: Callable[[], str] = str,
        base: Callable[[], Mapping[str, Any]] = dict,
        limit: int = MAX_BYTES,
    ) -> None:
        self._service = service
        self._declarations = declarations
        self._app = app
        self._path_of = path_of
        self._picker = picker
        self._forward = tuple(forward)
        self._root_path = root_path
        self._base = base
        self._limit = limit

    async def ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncIterator[FragmentAnswer]:
        """Render all at once and yield each as it is ready; see `FragmentSource`. `service` is ours by definition."""
        answers: asyncio.Queue[FragmentAnswer] = asyncio.Queue(len(questions))
        tasks = [
            asyncio.create_task(self._answer(question, page, answers.put_nowait), context=contextvars.Context())
            for question in questions
        ]
        try:
            for _ in tasks:
                yield await answers.get()
            if tasks:
                await asyncio.wait(tasks)
        finally:
            await cancel_all(tasks)

    async def _answer(
        self, question: FragmentQuestion, page: PageContext, put: Callable[[FragmentAnswer], None]
    ) -> None:
        """Put exactly one answer, whatever happens."""
        started = time.monotonic()
        rendering = _Rendering(question.id, put)
        loop = asyncio.get_running_loop()
        late = (FragmentCause.TIMEOUT, f"not rendered within {page.deadline - loop.time():.3f} s")
        # The answer is given on time even if the app is slow to stop.
        timer = loop.call_at(page.deadline, rendering.fail, *late)
        try:
            async with asyncio.timeout_at(page.deadline) as limit:
                await self._render(question, page, rendering)
        except Exception as error:
            if limit.expired():
                return
            told = _told(error)
            if told is None:
                self._log(question, error, time.monotonic() - started)
            rendering.fail(*(told or (FragmentCause.FAILED, f"{type(error).__name__}: {error}"[:200])))
        finally:
            timer.cancel()
            rendering.fail(*(late if limit.expired() else (FragmentCause.FAILED, "it was cancelled")))

    def _log(self, question: FragmentQuestion, error: Exception, seconds: float) -> None:
        _log.error(
            "fragment failed: service=%s ref=%s cause=%s seconds=%.3f",
            self._service,
            question.ref,
            FragmentCause.FAILED.value,
            seconds,
            exc_info=error,
        )

    async def _render(self, question: FragmentQuestion, page: PageContext, rendering: "_Rendering") -> None:
        declared = self._declarations.find(question.ref)
        if declared is None:
            raise NotRenderedError(FragmentCause.UNKNOWN_REF, f"{question.ref[:80]!r} is not declared")
        template = self._path_of(declared.function)
        attributes = imported_attributes(question, page.attributes)
        path = "/" if template is None else filled_path(template, attributes)
        scope = self._scope(path, question, page, attributes)
        if template is None:
            request = FragmentRequest(question.ref, attributes, tuple(scope["headers"]), scope)
            html = html_of_result(await call_function(declared.call, request), self._limit)
            rendering.succeed(await self._fragment_of(html, declared))
        else:
            async with asked(self._app, scope, self._limit) as html:
                rendering.succeed(await self._fragment_of(html, declared))

    def _scope(
        self, path: str, question: FragmentQuestion, page: PageContext, attributes: Mapping[str, object]
    ) -> dict[str, Any]:
        scope = internal_scope(
            path,
            headers=lent_by_page(page, self._forward),
            origin=page.origin,
            root_path=self._root_path(),
            base=self._base(),
        )
        scope[ATTRIBUTES] = attributes
        scope["hydra.fragment"] = question.ref
        # For the composer, when the request is sent through it: how deep it is, how long it may take, whose it is.
        scope["hydra.depth"] = page.depth + 1
        scope["hydra.deadline"] = page.deadline
        scope["hydra.key"] = page.key
        return scope

    async def _fragment_of(self, html: str, declared: DeclaredFragment) -> str:
        if declared.select is None:
            return body_of(html)
        picked = await self._picker.pick(html.encode("utf-8", "replace"), declared.select)
        if picked is None:
            raise NotRenderedError(FragmentCause.FAILED, f"{declared.select[:80]!r} matches nothing in the page")
        return picked.decode("utf-8", "replace")


class _Rendering:
    """One answer, given at most once: what comes later is about work after it."""

    def __init__(self, question: str, put: Callable[[FragmentAnswer], None]) -> None:
        self._question = question
        self._put = put
        self._given = False

    def succeed(self, html: str) -> None:
        self._give(FragmentAnswer(self._question, html))

    def fail(self, cause: FragmentCause, detail: str) -> None:
        self._give(FragmentAnswer(self._question, None, cause, detail))

    def _give(self, answer: FragmentAnswer) -> None:
        if not self._given:
            self._given = True
            self._put(answer)


def _told(error: Exception) -> tuple[FragmentCause, str] | None:
    """Cause and detail of trouble that we raised ourselves; None for an exception of the app."""
    match error:
        case NotRenderedError():
            return error.cause, error.detail
        case PathError():
            return FragmentCause.FAILED, str(error)
        case PickError():
            return FragmentCause.TOO_LARGE, str(error)
    return None
