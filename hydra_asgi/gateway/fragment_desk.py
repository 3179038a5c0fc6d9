"""Asks for the fragments of one page and gives every slot its outcome in time."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.core.fragment_tag import FragmentTag
from hydra_asgi.core.scanner import TAG_NAME, Event, Scanner, TagAbandoned, TagClosed, TagOpened, Text
from hydra_asgi.gateway.fragment_slot import Fallback, FragmentSlot, Piece
from hydra_asgi.ports import FragmentSource

__all__ = ["ComposeLimits", "FragmentDesk", "SlotReader"]

_BOM: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class ComposeLimits:
    """Bounds of one page; what lies beyond shows its fallback.

    Attributes:
        budget: seconds from a start tag until its fragment must be there.
        max_fragments: how many fragments are asked for, those in fallbacks included.
        max_depth: how deep fragments may stand inside fragments and fallbacks.
    """

    budget: float
    max_fragments: int
    max_depth: int


class _Ask:
    """One running request to one service: the slots it still owes, and the task to end when it owes none."""

    __slots__ = ("task", "timers", "waiting")

    def __init__(self, waiting: dict[str, FragmentSlot]) -> None:
        self.waiting = waiting
        self.timers: dict[str, asyncio.TimerHandle] = {}
        self.task: asyncio.Task[None] | None = None

    def release(self, number: str) -> FragmentSlot | None:
        """Owe this slot no longer."""
        timer = self.timers.pop(number, None)
        if timer is not None:
            timer.cancel()
        return self.waiting.pop(number, None)

    def give_up(self, number: str) -> FragmentSlot | None:
        """Owe this slot no longer, and ask no longer when it was the last one."""
        slot = self.release(number)
        if self.task is not None and not self.waiting:
            self.task.cancel()
        return slot


class FragmentDesk:
    """The fragments of one page.

    Args:
        source: who answers.
        page: what the page lends to its fragments; its deadline is the page's own, infinite if it has none.
        limits: see `ComposeLimits`.
        codec: how fragments become bytes of this page, see `page_headers.fragment_codec`.
        own: the name of the app that owns the page; its tags are asked for as service `""`.
        group: owns the running requests.
        changed: called when a slot got its pieces.
        on_fallback: told of every fragment that shows its fallback; must not raise.
        on_warning: told what authors and operators should know; must not raise.
    """

    def __init__(
        self,
        source: FragmentSource,
        page: PageContext,
        *,
        limits: ComposeLimits,
        codec: str,
        own: str,
        group: asyncio.TaskGroup,
        changed: Callable[[], None],
        on_fallback: Callable[[Fallback], None],
        on_warning: Callable[[str], None],
    ) -> None:
        self._source = source
        self._page = page
        self._limits = limits
        self._codec = codec
        self._own = own
        self._group = group
        self._changed = changed
        self._on_fallback = on_fallback
        self._on_warning = on_warning
        self._loop = asyncio.get_running_loop()
        self._asks: set[_Ask] = set()
        self._asked: dict[FragmentSlot, tuple[_Ask, str]] = {}
        self._count = 0
        self._numbers = 0
        self._stopped = False

    def reader(self) -> "SlotReader":
        """The reader of the page itself."""
        return SlotReader(self, depth=self._page.depth, last=self._page.deadline)

    def slot(self, start: bytes, tag: FragmentTag, *, depth: int, last: float) -> FragmentSlot:
        """A start tag is complete: make its slot. One that cannot be asked for has failed already."""
        seen = self._loop.time()
        if tag.service == self._own:
            tag = replace(tag, service="")
        for warning in tag.warnings:
            self._on_warning(f"fragment {tag.ref!r} of service {tag.service!r}: {warning}")
        slot = FragmentSlot(
            tag, start, depth=depth, seen=seen, last=min(last, seen + self._limits.budget), settle=self._settle
        )
        self._count += 1
        if depth >= self._limits.max_depth:
            slot.fail(FragmentCause.LIMIT, f"{depth} fragments deep, {self._limits.max_depth} are allowed")
        elif self._count > self._limits.max_fragments:
            slot.fail(FragmentCause.LIMIT, f"more than {self._limits.max_fragments} fragments on one page")
        elif tag.problem is not None:
            slot.fail(FragmentCause.BAD_TAG, tag.problem)
        elif slot.last <= seen:
            slot.fail(FragmentCause.TIMEOUT, "the page's time for fragments is over")
        return slot

    def ask(self, slots: Sequence[FragmentSlot]) -> None:
        """Ask for these slots, those of one service together."""
        services: dict[str, list[FragmentSlot]] = {}
        for slot in slots:
            if slot.is_open and not self._stopped:
                services.setdefault(slot.tag.service, []).append(slot)
        for service, same in services.items():
            self._ask_service(service, same)

    def abandon(self, slot: FragmentSlot, raw: bytes, reason: str) -> None:
        """A tag is no tag after all: show it as it is, ask for it no longer."""
        slot.abandon(raw)
        self._on_warning(f"fragment {slot.tag.ref!r} of service {slot.tag.service!r} is left as it is: {reason}")
        if slot in self._asked:
            ask, number = self._asked.pop(slot)
            ask.give_up(number)
        self._changed()

    def stop(self) -> None:
        """Nobody waits for the page any longer: end every request."""
        self._stopped = True
        for ask in list(self._asks):
            for number in list(ask.waiting):
                ask.give_up(number)
        self._asked.clear()

    def _ask_service(self, service: str, slots: Sequence[FragmentSlot]) -> None:
        questions = []
        ask = _Ask({})
        for slot in slots:
            self._numbers += 1
            number = str(self._numbers)
            self._asked[slot] = (ask, number)
            ask.waiting[number] = slot
            questions.append(_question(number, slot))
            ask.timers[number] = self._loop.call_at(self._deadline(slot), self._late, ask, number)
        page = replace(self._page, deadline=max(map(self._deadline, slots)), depth=max(slot.depth for slot in slots))
        self._asks.add(ask)
        ask.task = self._group.create_task(self._run(ask, service, questions, page))

    def _deadline(self, slot: FragmentSlot) -> float:
        return slot.last if slot.tag.timeout is None else min(slot.last, slot.seen + slot.tag.timeout)

    def _late(self, ask: _Ask, number: str) -> None:
        slot = ask.give_up(number)
        if slot is not None:
            slot.fail(FragmentCause.TIMEOUT, f"no answer within {self._loop.time() - slot.seen:.3f} s")

    async def _run(self, ask: _Ask, service: str, questions: Sequence[FragmentQuestion], page: PageContext) -> None:
        detail = "the source ended without an answer"
        try:
            await self._collect(ask, service, questions, page)
        except Exception as error:
            detail = f"{type(error).__name__}: {error}"
        finally:
            self._asks.discard(ask)
        for number in list(ask.waiting):
            slot = ask.release(number)
            if slot is not None:
                slot.fail(FragmentCause.FAILED, detail[:200])

    async def _collect(self, ask: _Ask, service: str, questions: Sequence[FragmentQuestion], page: PageContext) -> None:
        answers = self._source.ask(service, questions, page)
        try:
            async for answer in answers:
                slot = ask.release(answer.id)
                if slot is not None:
                    self._answered(slot, answer)
                if not ask.waiting:
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

    def _settle(self, slot: FragmentSlot) -> None:
        if self._stopped:
            return
        if slot.html is not None:
            slot.pieces = [slot.html]
        else:
            slot.pieces = self._fallback(slot)
        self._changed()

    def _fallback(self, slot: FragmentSlot) -> list[Piece]:
        """The tag's body, composed in its turn: what it asks for is asked for only now."""
        cause = slot.cause or FragmentCause.FAILED
        self._on_fallback(
            Fallback(slot.tag.service, slot.tag.ref, cause, slot.detail, max(0.0, self._loop.time() - slot.seen))
        )
        # At a limit the body is not looked into: every tag in it would be over the limit too.
        if cause is FragmentCause.LIMIT or TAG_NAME not in slot.body.lower():
            return [slot.body]
        reader = SlotReader(self, depth=slot.depth + 1, last=slot.last)
        return [*reader.feed(slot.body), *reader.close()]


class SlotReader:
    """Turns a stream of page bytes into pieces, and has the desk ask for what it finds."""

    def __init__(self, desk: FragmentDesk, *, depth: int, last: float) -> None:
        self._desk = desk
        self._depth = depth
        self._last = last
        self._scanner = Scanner()
        self._slot: FragmentSlot | None = None

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces that are now certain, in document order."""
        return self._take(self._scanner.feed(data))

    def close(self) -> list[Piece]:
        """The stream has ended; what is left of it."""
        return self._take(self._scanner.close())

    def _take(self, events: Sequence[Event]) -> list[Piece]:
        pieces: list[Piece] = []
        opened: list[FragmentSlot] = []
        for event in events:
            match event:
                case Text(raw):
                    pieces.append(raw)
                case TagOpened(raw, tag):
                    self._slot = self._desk.slot(raw, tag, depth=self._depth, last=self._last)
                    pieces.append(self._slot)
                    opened.append(self._slot)
                case TagClosed(_, body) if self._slot is not None:
                    self._slot.close(body)
                case TagAbandoned(raw, reason) if self._slot is not None:
                    self._desk.abandon(self._slot, raw, reason)
        if opened:
            self._desk.ask(opened)
        return pieces


def _question(number: str, slot: FragmentSlot) -> FragmentQuestion:
    return FragmentQuestion(
        id=number,
        service=slot.tag.service,
        ref=slot.tag.ref,
        imports=slot.tag.imports,
        exports=slot.tag.exports,
        fallback=slot.body.decode("utf-8", "replace") if slot.closed else "",
    )
