"""Fragments by way of a gateway: a node that is only a service knows no instances and asks whoever does (C3)."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace

from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.core.fragments.fragment_lending import lent_attributes
from hydra_asgi.core.fragments.fragment_tally import AnswerTally
from hydra_asgi.core.instance import Address
from hydra_asgi.ports import Timeouts, Upstream, UpstreamRequest
from hydra_asgi.wire.answer_stream import read_answers
from hydra_asgi.wire.asking_terms import AskingTerms
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
        terms: how this node asks.
    """

    def __init__(self, gateways: Callable[[], Sequence[Address]], upstream: Upstream, terms: AskingTerms) -> None:
        self._gateways = gateways
        self._upstream = upstream
        self._terms = terms

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
        left = self._terms.left(page)
        lent = self._terms.lent(page, service)
        attributes = lent_attributes(questions, page.attributes)
        ask = Ask(attributes, {service: tuple(questions)}, lent, page.key, page.depth, left, page.origin)
        try:
            body = ask_json(ask)
        except ValueError as error:
            raise PeerFailedError(FragmentCause.FAILED, f"not asked, an attribute cannot be sent: {error}") from None
        headers = question_headers(address.netloc, ACCEPT_BOTH, lent, key=page.key)
        path = f"{address.base}/h/discovery/{self._terms.key()}/requestFragment"
        return UpstreamRequest(
            address,
            "POST",
            path.encode(),
            [*headers, *self._terms.sign("POST", path, body)],
            body,
            # Each gateway that is left gets its share of the budget for connecting.
            timeouts=Timeouts(connect=min(1.0, left / chances), first_byte=left, idle=left),
        )


def _located(address: Address, answer: FragmentAnswer) -> FragmentAnswer:
    """The answer; one without HTML names the gateway that gave it."""
    if answer.html is not None:
        return answer
    return replace(answer, detail=f"{address.netloc}: {answer.detail or 'answered null'}")
