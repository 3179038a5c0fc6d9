"""The two calls about fragments: a service asks its gateway (C3), a gateway asks this service (C4)."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from hydra_asgi.control.body import read_body
from hydra_asgi.control.fragment_answer import FragmentCall, unless_gone
from hydra_asgi.control.guard import Caller, Guard
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.core.fragments.fragment_lending import lent_headers
from hydra_asgi.ports import Clock, FragmentSource
from hydra_asgi.wire.fragments import BODY_LIMIT, Ask, Render, parse_ask, parse_render
from hydra_asgi.wire.iterators import closed, merged
from hydra_asgi.wire.question_headers import takes_lines

__all__ = ["AskDesk", "RenderDesk"]

BUDGET = 1.5
"""Seconds for a whole call. A Medusa gives up after 2 s and then shows raw placeholders (CONTRACT.md 2.4)."""

log = logging.getLogger("hydra_asgi.fragments")


class AskDesk:
    """Answers C3 on a gateway: always 200, in time, every id that was asked for and no other (CONTRACT.md 10.1).

    Args:
        source: where fragments come from; services are asked at the same time.
        guard: says who may ask.
        budget: the most seconds a call may take; an asker may give less.
        clock: seconds, the running loop's clock.

    Raises:
        RefusedError: when called: the caller or the body is refused.
    """

    def __init__(
        self,
        source: FragmentSource,
        guard: Guard,
        *,
        budget: float = BUDGET,
        clock: Clock = lambda: asyncio.get_running_loop().time(),
    ) -> None:
        self._source = source
        self._guard = guard
        self._budget = budget
        self._clock = clock

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http", scope["type"]  # noqa: S101 - the control plane calls only for HTTP
        started = self._clock()
        body = await read_body(receive, BODY_LIMIT)
        caller = self._guard.admit(scope, body)
        ask = parse_ask(body)
        budget = self._budget if ask.budget is None else min(self._budget, ask.budget)
        page = _page(ask, scope, caller, started + budget - _margin(budget))
        answers = merged([_answers(self._source, service, group, page) for service, group in ask.requests.items()])
        call = FragmentCall(ask.questions, answers, started + budget, started, self._clock)
        await unless_gone(receive, _send(call, scope, send))


class RenderDesk:
    """Answers C4 on a service: its own fragments, null for a ref it does not have, never an empty body.

    Args:
        source: renders the node's own fragments.
        guard: says who may ask.
        service: the node's own name, under which `source` is asked.
        budget: the most seconds a call may take; an asker may give less.
        clock: seconds, the running loop's clock.

    Raises:
        RefusedError: when called: the caller or the body is refused.
    """

    def __init__(
        self,
        source: FragmentSource,
        guard: Guard,
        *,
        service: str = "",
        budget: float = BUDGET,
        clock: Clock = lambda: asyncio.get_running_loop().time(),
    ) -> None:
        self._source = source
        self._guard = guard
        self._service = service
        self._budget = budget
        self._clock = clock

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http", scope["type"]  # noqa: S101 - the control plane calls only for HTTP
        started = self._clock()
        body = await read_body(receive, BODY_LIMIT)
        caller = self._guard.admit(scope, body)
        render = parse_render(body, self._service)
        budget = self._budget if render.budget is None else min(self._budget, render.budget)
        page = _page(render, scope, caller, started + budget - _margin(budget))
        answers = _rendered(self._source, self._service, render.questions, page)
        call = FragmentCall(render.questions, answers, started + budget, started, self._clock)
        await unless_gone(receive, _send(call, scope, send))


async def _send(call: FragmentCall, scope: HTTPScope, send: ASGISendCallable) -> None:
    if takes_lines(scope["headers"]):
        await call.send_lines(send)
    else:
        await call.send_array(send)


def _margin(budget: float) -> float:
    """Seconds before the end at which sources give up, so that what they say still reaches the asker in time."""
    return min(0.05, budget / 10)


def _page(question: Ask | Render, scope: HTTPScope, caller: Caller, deadline: float) -> PageContext:
    """What the asker lends. A Java peer lends by fields of the request, and only language and trace are taken.

    What a node of ours has chosen to lend is believed; what came unsigned meets our own allow-list.
    """
    headers = question.headers or lent_headers(((name.lower(), value) for name, value in scope["headers"]), ())
    return PageContext(
        deadline,
        headers,
        question.attributes,
        question.key,
        question.depth,
        question.origin if caller.signed else "",
        is_lent=caller.signed,
    )


async def _answers(
    source: FragmentSource, service: str, questions: Sequence[FragmentQuestion], page: PageContext
) -> AsyncGenerator[FragmentAnswer, None]:
    if not service:
        # The source would take it for this node's own app, which is not what somebody else can mean.
        for question in questions:
            yield FragmentAnswer(question.id, None, FragmentCause.UNKNOWN_SERVICE, "the service has no name")
        return
    async with closed(_rendered(source, service, questions, page)) as answers:
        async for answer in answers:
            yield answer


async def _rendered(
    source: FragmentSource, service: str, questions: Sequence[FragmentQuestion], page: PageContext
) -> AsyncGenerator[FragmentAnswer, None]:
    """The source's answers. An error it should not have raised costs its own fragments, not the call."""
    if not questions:
        return
    try:
        async with closed(source.ask(service, questions, page)) as answers:
            async for answer in answers:
                yield answer
    except Exception:
        log.exception("the source of fragments of %.80r failed", service)
        for question in questions:
            yield FragmentAnswer(question.id, None, FragmentCause.FAILED, "the source of fragments failed")
