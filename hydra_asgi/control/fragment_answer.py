"""Answers a call about fragments: in time, every id once, as lines while they come or as one array at the end."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable

from hydra_asgi.control.reply import base_headers, reply
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion
from hydra_asgi.core.fragments.fragment_tally import AnswerTally
from hydra_asgi.ports import Clock
from hydra_asgi.wire.answer_lines import LINES_TYPE, answer_line
from hydra_asgi.wire.fragment_answers import answers_json, checked_answer, fit_answers
from hydra_asgi.wire.iterators import closed

__all__ = ["FragmentCall", "unless_gone"]

log = logging.getLogger("hydra_asgi.fragments")


@dataclass(frozen=True, slots=True)
class FragmentCall:
    """One call, and how it is answered.

    Attributes:
        questions: what was asked; an id may stand in it once for each service.
        answers: where the answers come from, in any order, perhaps with gaps. Closed at the end.
        deadline: when the answer has to be on its way, in seconds on the loop's clock.
        started: when the call came, on the same clock.
        clock: that clock.
    """

    questions: Sequence[FragmentQuestion]
    answers: AsyncIterator[FragmentAnswer]
    deadline: float
    started: float
    clock: Clock

    async def send_array(self, send: ASGISendCallable) -> None:
        """Answer with one array in the order of the questions, small enough for a Java peer."""
        async with closed(self._settled()) as settled:
            came = {answer.id: answer async for answer in settled}
        ids = dict.fromkeys(question.id for question in self.questions)
        fitted = fit_answers(came[id_] for id_ in ids)
        for answer in fitted:
            self._log(answer)
        await reply(send, 200, answers_json(fitted))

    async def send_lines(self, send: ASGISendCallable) -> None:
        """Answer with a line for each answer, as soon as it is there."""
        await send(
            {"type": "http.response.start", "status": 200, "headers": base_headers(LINES_TYPE), "trailers": False}
        )
        async with closed(self._settled()) as settled:
            async for answer in settled:
                self._log(answer)
                await send({"type": "http.response.body", "body": answer_line(answer), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _settled(self) -> AsyncGenerator[FragmentAnswer, None]:
        """Exactly one answer for each id, the last ones at the deadline."""
        tally = AnswerTally(question.id for question in self.questions)
        try:
            async with closed(self.answers) as answers:
                while not tally.is_complete and (answer := await self._next(answers)) is not None:
                    if (taken := tally.take(checked_answer(answer))) is not None:
                        yield taken
        except TimeoutError:
            for answer in tally.give_up(FragmentCause.TIMEOUT, "no answer within the budget"):
                yield answer
        for answer in tally.give_up(FragmentCause.BROKEN, "nobody answered this id"):
            yield answer

    async def _next(self, answers: AsyncIterator[FragmentAnswer]) -> FragmentAnswer | None:
        async with asyncio.timeout_at(self.deadline):
            return await anext(answers, None)

    def _log(self, answer: FragmentAnswer) -> None:
        if answer.html is not None:
            return
        question = next(question for question in self.questions if question.id == answer.id)
        # Names come from strangers: %r keeps them on one line.
        log.warning(
            "fragment %.130r of service %.80r was not rendered: %s after %.3f s: %.400r",
            question.ref,
            question.service,
            answer.cause or FragmentCause.FAILED,
            self.clock() - self.started,
            answer.detail,
        )


async def unless_gone(receive: ASGIReceiveCallable, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, but cancel it when the caller hangs up: nobody waits for what it would make.

    Args:
        receive: ASGI's, with the request's body behind it.
        work: what is done; its error is raised here.
    """
    worker = asyncio.create_task(work)
    watcher = asyncio.create_task(_hang_up(receive))
    try:
        await asyncio.wait({worker, watcher}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        worker.cancel()
        watcher.cancel()
        await asyncio.gather(worker, watcher, return_exceptions=True)
    if not worker.cancelled():
        worker.result()


async def _hang_up(receive: ASGIReceiveCallable) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
