"""Fragments by way of a gateway: a node that is only a service knows no instances and asks whoever does (C3)."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace

from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.core.fragments.fragment_lending import allowed_names, lent_attributes, lent_by_page
from hydra_asgi.core.fragments.fragment_tally import AnswerTally
from hydra_asgi.core.instance import Address
from hydra_asgi.ports import Clock, Headers, Timeouts, Upstream, UpstreamRequest
from hydra_asgi.wire.answer_stream import read_answers
from hydra_asgi.wire.fragments import Ask, ask_json
from hydra_asgi.wire.iterators import closed
from hydra_asgi.wire.peer_failure import PeerFailedError
from hydra_asgi.wire.question_headers import ACCEPT_BOTH, question_headers

__all__ = ["GatewayFragments"]


class GatewayFragments:
    """A `FragmentSource` that asks a gateway, the next one when it cannot be reached.

    A Java Hydra answers 500 when one service fails and leaves out what it does not know (CONTRACT.md 2.6); since each
    service is asked for on its own, that costs nobody else's fragments.

    Args:
        gateways: where gateways are, the one to prefer first; read at each question.
        upstream: carries the questions.
        key: the path key of the cluster.
        sign: (method, path, body) -> header pairs that prove who asks.
        forward: allow-lists: a service's name, or `*` for every service, -> header names or `cookie:NAME`.
        clock: seconds, the clock of `PageContext.deadline`.
    """

    def __init__(
        self,
        gateways: Callable[[], Sequence[Address]],
        upstream: Upstream,
        *,
        key: str,
        sign: Callable[[str, str, bytes], Headers] = lambda method, path, body: [],
        forward: Mapping[str, Sequence[str]] | None = None,
        clock: Clock = lambda: asyncio.get_running_loop().time(),
    ) -> None:
        self._gateways = gateways
        self._upstream = upstream
        self._path = f"/h/discovery/{key}/requestFragment"
        self._sign = sign
        self._forward = forward or {}
        self._clock = clock

    async def ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncGenerator[FragmentAnswer, None]:
        tally = AnswerTally(question.id for question in questions)
        cause, detail = FragmentCause.UNAVAILABLE, "no gateway is known"
        gateways = self._gateways()
        for number, address in enumerate(gateways):
            try:
                async with closed(self._call(address, len(gateways) - number, service, questions, page)) as answers:
                    async for answer in answers:
                        tally.take(answer)
                        yield answer
                cause, detail = FragmentCause.BROKEN, f"{address.netloc}: no answer to this fragment"
                break
            except PeerFailedError as error:
                cause, detail = error.cause, f"{address.netloc}: {error.detail}"
                if not error.untouched:
                    break
        for answer in tally.give_up(cause, detail):
            yield answer

    async def _call(
        self, address: Address, chances: int, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncGenerator[FragmentAnswer, None]:
        request = self._request(address, chances, service, questions, page)
        ids = [question.id for question in questions]
        async with closed(read_answers(lambda: self._upstream.send(request), ids, page.deadline)) as answers:
            async for answer in answers:
                yield _located(address, answer)

    def _request(
        self, address: Address, chances: int, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> UpstreamRequest:
        left = page.deadline - self._clock()
        if left <= 0:
            raise PeerFailedError(FragmentCause.TIMEOUT, "not asked, the budget was used up")
        lent = lent_by_page(page, allowed_names(self._forward, service))
        attributes = lent_attributes(questions, page.attributes)
        ask = Ask(attributes, {service: tuple(questions)}, lent, page.key, page.depth, left, page.origin)
        try:
            body = ask_json(ask)
        except ValueError as error:
            raise PeerFailedError(FragmentCause.FAILED, f"not asked, an attribute cannot be sent: {error}") from None
        headers = question_headers(address.netloc, ACCEPT_BOTH, lent, key=page.key)
        path = address.base + self._path
        return UpstreamRequest(
            address,
            "POST",
            path.encode(),
            [*headers, *self._sign("POST", path, body)],
            body,
            # Each gateway that is left gets its share of the budget for connecting.
            timeouts=Timeouts(connect=min(1.0, left / chances), first_byte=left, idle=left),
        )


def _located(address: Address, answer: FragmentAnswer) -> FragmentAnswer:
    """The answer; one without HTML names the gateway that gave it."""
    if answer.html is not None:
        return answer
    return replace(answer, detail=f"{address.netloc}: {answer.detail or 'answered null'}")
