"""Tells what came of each fragment that a node asks for, its pages' and those that services ask it for."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from hydra_asgi.core.events import GIVEN_UP, RENDERED, FragmentRecord
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.ports import Clock, FragmentSource, Hook
from hydra_asgi.wire.iterators import closed

__all__ = ["ObservedFragments"]

SLACK_SECONDS = 0.05
"""Whoever stops waiting this shortly before the deadline stops because of it."""


class ObservedFragments:
    """A `FragmentSource` that tells about another one.

    Args:
        source: who answers.
        tell: gets one `FragmentRecord` per question.
        own: the node's own service and its version, which questions to service `""` are put to.
        clock: seconds, the clock of `PageContext.deadline`.
    """

    def __init__(
        self,
        source: FragmentSource,
        tell: Hook,
        *,
        own: tuple[str, int],
        clock: Clock = lambda: asyncio.get_running_loop().time(),
    ) -> None:
        self._source = source
        self._tell = tell
        self._own, self._own_version = own
        self._clock = clock

    async def ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncGenerator[FragmentAnswer, None]:
        began = self._clock()
        refs = {question.id: question.ref for question in questions}
        rest: str = GIVEN_UP

        def tell(ref: str, outcome: str, version: int | None = None) -> None:
            name, version = (service, version) if service else (self._own, self._own_version)
            self._tell(FragmentRecord(name, ref, version, outcome, self._clock() - began))

        try:
            async with closed(self._source.ask(service, questions, page)) as answers:
                async for answer in answers:
                    if (ref := refs.pop(answer.id, None)) is not None:
                        tell(ref, _outcome(answer), answer.version)
                    yield answer
            rest = FragmentCause.FAILED
        finally:
            if rest == GIVEN_UP and self._clock() >= page.deadline - SLACK_SECONDS:
                rest = FragmentCause.TIMEOUT
            for ref in refs.values():
                tell(ref, rest)


def _outcome(answer: FragmentAnswer) -> str:
    return RENDERED if answer.html is not None else (answer.cause or FragmentCause.FAILED)
