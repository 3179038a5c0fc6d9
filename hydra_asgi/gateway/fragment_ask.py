"""One running request for fragments: the slots it owes an outcome, each with its own time."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.gateway.fragment_slot import FragmentSlot
from hydra_asgi.ports import FragmentSource

__all__ = ["FragmentAsk"]

_BOM: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"


class FragmentAsk:
    """Asks one service for some slots of a page. Ends by itself when it owes nothing more.

    Args:
        slots: by the number of their question.
        codec: how fragments become bytes of the page, see `page_headers.fragment_codec`.
    """

    def __init__(self, slots: Mapping[str, FragmentSlot], *, codec: str) -> None:
        self._owed = dict(slots)
        self._codec = codec
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self, group: asyncio.TaskGroup, source: FragmentSource, service: str, page: PageContext) -> None:
        """Send the request in a task of the group, and start the clocks."""
        loop = asyncio.get_running_loop()
        self._timers = {number: loop.call_at(slot.deadline, self._late, number) for number, slot in self._owed.items()}
        slots = self._owed.values()
        page = replace(page, deadline=max(slot.deadline for slot in slots), depth=max(slot.depth for slot in slots))
        questions = [_question(number, slot) for number, slot in self._owed.items()]
        self._task = group.create_task(self._run(source, service, questions, page))

    def give_up(self, number: str) -> None:
        """Owe this slot no longer; the last one takes the request with it."""
        self._release(number)
        if self._task is not None and not self._owed:
            self._task.cancel()

    def stop(self) -> None:
        """Owe nothing any longer."""
        for number in list(self._owed):
            self.give_up(number)

    def _release(self, number: str) -> FragmentSlot | None:
        timer = self._timers.pop(number, None)
        if timer is not None:
            timer.cancel()
        return self._owed.pop(number, None)

    def _late(self, number: str) -> None:
        slot = self._owed[number]
        self.give_up(number)
        slot.fail(FragmentCause.TIMEOUT, f"no answer within {slot.deadline - slot.seen:.3f} s")

    async def _run(
        self, source: FragmentSource, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> None:
        detail = "the source ended without an answer"
        try:
            await self._collect(source, service, questions, page)
        except Exception as error:
            # A broken source costs its fragments, never the page.
            detail = f"{type(error).__name__}: {error}"
        for number, slot in list(self._owed.items()):
            self._release(number)
            slot.fail(FragmentCause.FAILED, detail[:200])

    async def _collect(
        self, source: FragmentSource, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> None:
        answers = source.ask(service, questions, page)
        try:
            async for answer in answers:
                slot = self._release(answer.id)
                if slot is not None:
                    self._answered(slot, answer)
                if not self._owed:
                    return
        finally:
            close = getattr(answers, "aclose", None)
            if close is not None:
                await close()

    def _answered(self, slot: FragmentSlot, answer: FragmentAnswer) -> None:
        if answer.html is None:
            slot.fail(answer.cause or FragmentCause.FAILED, answer.detail)
        else:
            slot.answer(answer.html.removeprefix(_BOM).encode(self._codec, "xmlcharrefreplace"))


def _question(number: str, slot: FragmentSlot) -> FragmentQuestion:
    return FragmentQuestion(
        id=number,
        service=slot.tag.service,
        ref=slot.tag.ref,
        imports=slot.tag.imports,
        exports=slot.tag.exports,
        fallback=slot.body.decode("utf-8", "replace") if slot.closed else "",
    )
