"""Fragments from other services' instances: one question for what a page wants of a service, put to one instance."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.core.fragments.fragment_lending import lent_attributes
from hydra_asgi.core.fragments.fragment_tally import AnswerTally
from hydra_asgi.core.html.fragment_html import prefix_assets, strip_placeholders
from hydra_asgi.core.instance import Dialect, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.gateway.instance_health import GATEWAY_ERRORS, SERVER_ERRORS, InstanceHealth
from hydra_asgi.gateway.plain_fragments import ask_plainly
from hydra_asgi.ports import Timeouts, Upstream, UpstreamRequest, UpstreamResponse
from hydra_asgi.wire.answer_stream import read_answers
from hydra_asgi.wire.asking_terms import AskingTerms
from hydra_asgi.wire.fragments import Render, render_json
from hydra_asgi.wire.iterators import closed, merged
from hydra_asgi.wire.peer_failure import PeerFailedError
from hydra_asgi.wire.question_headers import ACCEPT_ARRAY, ACCEPT_LINES, question_headers

__all__ = ["InstanceFragments"]

ATTEMPTS = 2
"""Instances tried for one question: a second one when the first cannot be reached; more would eat the budget."""

ALONE_AT_ONCE = 8
"""Questions put to one Medusa at the same time after it has failed on all of them together."""

DEADLINE_SLACK_SECONDS = 0.05
"""Whoever stops waiting this shortly before the deadline stops because of it: the instance was too slow."""


class InstanceFragments:
    """A `FragmentSource` that asks an instance of the service (C4).

    Args:
        group_of: the instances of a service; None when the service is not known.
        upstream: carries the questions.
        terms: how this node asks.
        health: what is known about instances; to be shared with whatever else asks them.
    """

    def __init__(
        self,
        group_of: Callable[[str], Group | None],
        upstream: Upstream,
        terms: AskingTerms,
        *,
        health: InstanceHealth | None = None,
    ) -> None:
        self._group_of = group_of
        self._upstream = upstream
        self._terms = terms
        self._health = InstanceHealth() if health is None else health

    async def ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncGenerator[FragmentAnswer, None]:
        tally = AnswerTally(question.id for question in questions)
        group = self._group_of(service)
        cause, detail = FragmentCause.UNAVAILABLE, f"no instance of {service[:80]!r} can be asked now"
        if group is None:
            cause, detail = FragmentCause.UNKNOWN_SERVICE, f"no service {service[:80]!r} is known"
        version: int | None = None
        for instance in self._candidates(group, page.key):
            version = instance.version
            try:
                async with closed(self._ask_instance(instance, questions, page)) as answers:
                    async for answer in answers:
                        tally.take(answer)
                        yield replace(answer, version=version)
                cause, detail = FragmentCause.BROKEN, f"{instance.address.netloc}: no answer to this fragment"
                break
            except PeerFailedError as error:
                cause, detail = error.cause, f"{instance.address.netloc}: {error.detail}"
                if not error.untouched:
                    break
        for answer in tally.give_up(cause, detail):
            yield replace(answer, version=version)

    def _candidates(self, group: Group | None, key: str) -> Iterator[ServiceInstance]:
        """Whom to ask in turn; a second one only within the budget of retries that pages and fragments share."""
        if group is None:
            return
        self._health.count_request(group.service)
        for attempt, instance in enumerate(islice(self._health.order(group, key), ATTEMPTS)):
            if attempt and not self._health.may_retry(group.service):
                return
            yield instance

    async def _ask_instance(
        self, instance: ServiceInstance, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncGenerator[FragmentAnswer, None]:
        declared = _declared(instance, questions)
        for question in questions:
            if question not in declared:
                detail = f"{instance.address.netloc}: declares no fragment {question.ref[:80]!r}"
                yield FragmentAnswer(question.id, None, FragmentCause.UNKNOWN_REF, detail)
        if not declared:
            return
        try:
            async with closed(self._call(instance, declared, page)) as answers:
                async for answer in answers:
                    yield answer
            return
        except PeerFailedError as error:
            # A Medusa answers 500 for the whole batch when one ref is unknown (CONTRACT.md 2.5). 403 and 404 are said
            # before it looks at the refs, so asking again would change nothing.
            if instance.dialect is not Dialect.MEDUSA or error.status < 500 or len(declared) == 1:
                raise
        async with closed(self._ask_each_alone(instance, declared, page)) as answers:
            async for answer in answers:
                yield answer

    def _ask_each_alone(
        self, instance: ServiceInstance, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncGenerator[FragmentAnswer, None]:
        slots = asyncio.Semaphore(ALONE_AT_ONCE)

        async def alone(question: FragmentQuestion) -> AsyncIterator[FragmentAnswer]:
            try:
                async with slots, closed(self._call(instance, [question], page)) as answers:
                    async for answer in answers:
                        yield answer
            except PeerFailedError as error:
                detail = f"{instance.address.netloc}: {error.detail}"
                yield FragmentAnswer(question.id, None, error.cause, detail)

        return merged([alone(question) for question in questions])

    async def _call(
        self, instance: ServiceInstance, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncGenerator[FragmentAnswer, None]:
        def send(request: UpstreamRequest) -> Awaitable[UpstreamResponse]:
            # A Medusa answers 500 to a ref it does not know; that is no trouble of the instance.
            errors = GATEWAY_ERRORS if instance.dialect is Dialect.MEDUSA else SERVER_ERRORS
            patience = page.deadline - self._terms.clock() - DEADLINE_SLACK_SECONDS
            return self._health.send(self._upstream, instance, request, errors=errors, patience=patience)

        if instance.dialect is Dialect.PLAIN:
            lent = self._terms.lent(page, instance.service)
            asked = ask_plainly(instance, questions, lent, send, left=self._terms.left(page), deadline=page.deadline)
        else:
            request = self._request(instance, questions, page)
            asked = read_answers(lambda: send(request), [question.id for question in questions], page.deadline)
        async with closed(asked) as answers:
            async for answer in answers:
                yield _fitted(instance, answer)

    def _request(
        self, instance: ServiceInstance, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> UpstreamRequest:
        left = self._terms.left(page)
        is_medusa = instance.dialect is Dialect.MEDUSA
        address = instance.address
        lent = self._terms.lent(page, instance.service)
        attributes = lent_attributes(questions, page.attributes)
        render = Render(attributes, tuple(questions), lent, page.key, page.depth, left, page.origin)
        try:
            body = render_json(render, instance.dialect)
        except ValueError as error:
            raise PeerFailedError(FragmentCause.FAILED, f"not asked, an attribute cannot be sent: {error}") from None
        accept = ACCEPT_ARRAY if is_medusa else ACCEPT_LINES
        headers = question_headers(address.netloc, accept, lent, key=page.key, plain=is_medusa)
        path = f"{address.base}/h/fragment/{self._terms.key()}/requestFragment"
        return UpstreamRequest(
            address,
            "POST",
            path.encode(),
            [*headers, *self._terms.sign("POST", path, body)],
            body,
            # Half of the budget for connecting at most, so that a second instance has a chance.
            timeouts=Timeouts(connect=min(1.0, left / 2), first_byte=left, idle=left),
            service=instance.service,
        )


def _declared(instance: ServiceInstance, questions: Iterable[FragmentQuestion]) -> list[FragmentQuestion]:
    """The questions this instance may be able to answer; a Medusa declares nothing, so everything is tried."""
    if instance.fragments is None:
        return list(questions)
    refs = {declaration.ref for declaration in instance.fragments}
    return [question for question in questions if question.ref in refs]


def _fitted(instance: ServiceInstance, answer: FragmentAnswer) -> FragmentAnswer:
    """The answer as the page can use it."""
    if answer.html is None:
        return replace(answer, detail=f"{instance.address.netloc}: {answer.detail or 'answered null'}")
    if instance.dialect is not Dialect.MEDUSA:
        return answer
    html = prefix_assets(strip_placeholders(answer.html), instance.token, instance.resources)
    return replace(answer, html=html)
