"""The fragments of one page: makes their slots, asks for them within the page's limits, composes fallbacks."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count

from hydra_asgi.core.fragment import FragmentCause, PageContext
from hydra_asgi.core.headers.request_id import read_request_id
from hydra_asgi.core.html.fragment_tag import FragmentTag
from hydra_asgi.core.html.scanner import TAG_NAME, Event, Scanner, TagClosed, TagOpened, Text
from hydra_asgi.gateway.fragment_ask import FragmentAsk
from hydra_asgi.gateway.fragment_slot import Fallback, FragmentSlot, Piece
from hydra_asgi.ports import FragmentSource

__all__ = ["ComposeLimits", "PageFragments", "SlotReader"]


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


class PageFragments:
    """Everything that is asked for one page.

    Args:
        source: who answers.
        page: what the page lends to its fragments; its deadline is the page's own, infinite if it has none.
        limits: see `ComposeLimits`.
        codec: how fragments become bytes of this page, see `page_headers.fragment_codec`.
        own: the name of the app that owns the page; its tags are asked for as service `""`.
        group: owns the running requests.
        changed: called when a slot got its pieces.
        on_fallback: told of every fragment that shows its fallback, of those over a limit once; must not raise.
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
        self._asked: dict[FragmentSlot, tuple[FragmentAsk, str]] = {}
        self._numbers = count(1)
        self._seen = 0
        self._limit_told = False

    @property
    def is_waiting(self) -> bool:
        """Whether a fragment is still to come."""
        return bool(self._asked)

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
        last = min(last, seen + self._limits.budget)
        slot = FragmentSlot(tag, start, depth=depth, seen=seen, last=last, settle=self._settle)
        self._seen += 1
        refusal = self._refusal(slot)
        if refusal is not None:
            slot.fail(*refusal)
        return slot

    def ask(self, slots: Sequence[FragmentSlot]) -> None:
        """Ask for these slots, those of one service together."""
        services: dict[str, dict[str, FragmentSlot]] = {}
        for slot in slots:
            if slot.is_open:
                services.setdefault(slot.tag.service, {})[str(next(self._numbers))] = slot
        for service, same in services.items():
            ask = FragmentAsk(same, codec=self._codec)
            self._asked.update((slot, (ask, number)) for number, slot in same.items())
            ask.start(self._group, self._source, service, self._page)

    def abandon(self, slot: FragmentSlot, raw: bytes, reason: str) -> None:
        """A tag is no tag after all: show it as it is, ask for it no longer."""
        slot.abandon(raw)
        self._on_warning(f"fragment {slot.tag.ref!r} of service {slot.tag.service!r} is left as it is: {reason}")
        if slot in self._asked:
            ask, number = self._asked[slot]
            ask.give_up(number)
        self._changed()

    def stop(self) -> None:
        """Nobody waits for the page any longer: end every request."""
        for ask, _ in self._asked.values():
            ask.stop()
        self._asked.clear()

    def _refusal(self, slot: FragmentSlot) -> tuple[FragmentCause, str] | None:
        if slot.depth >= self._limits.max_depth:
            return FragmentCause.LIMIT, f"{slot.depth} fragments deep, {self._limits.max_depth} are allowed"
        if self._seen > self._limits.max_fragments:
            return FragmentCause.LIMIT, f"more than {self._limits.max_fragments} fragments on one page"
        if slot.tag.problem is not None:
            return FragmentCause.BAD_TAG, slot.tag.problem
        if slot.last <= slot.seen:
            return FragmentCause.TIMEOUT, "the page's time for fragments is over"
        return None

    def _settle(self, slot: FragmentSlot) -> None:
        self._asked.pop(slot, None)
        try:
            if slot.cause is not None and not self._is_told(slot.cause):
                seconds = max(0.0, self._loop.time() - slot.seen)
                request_id = read_request_id([*self._page.headers])
                self._on_fallback(
                    Fallback(slot.tag.service, slot.tag.ref, slot.cause, slot.detail, seconds, request_id)
                )
        finally:  # a page that nobody finishes would be worse than a hook that raises
            slot.pieces = self._fallback(slot) if slot.html is None else [slot.html]
            self._changed()

    def _is_told(self, cause: FragmentCause) -> bool:
        """Whether this needs no report any more: of thousands of tags over a limit, one says it for its page."""
        if cause is not FragmentCause.LIMIT:
            return False
        told, self._limit_told = self._limit_told, True
        return told

    def _fallback(self, slot: FragmentSlot) -> list[Piece]:
        """The tag's body, composed in its turn: what it asks for is asked for only now."""
        # At a limit the body is not looked into: every tag in it would be over the limit too.
        if slot.cause is FragmentCause.LIMIT or TAG_NAME not in slot.body.lower():
            return [slot.body]
        reader = SlotReader(self, depth=slot.depth + 1, last=slot.last)
        return [*reader.feed(slot.body), *reader.close()]


class SlotReader:
    """Turns a stream of page bytes into pieces, and has the page's fragments ask for what it finds."""

    def __init__(self, fragments: PageFragments, *, depth: int, last: float) -> None:
        self._fragments = fragments
        self._depth = depth
        self._last = last
        self._scanner = Scanner()
        self._slot: FragmentSlot  # the one whose end tag is to come; there is none before a TagOpened

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
                    self._slot = self._fragments.slot(raw, tag, depth=self._depth, last=self._last)
                    pieces.append(self._slot)
                    opened.append(self._slot)
                case TagClosed(_, body):
                    self._slot.close(body)
                case _:
                    self._fragments.abandon(self._slot, event.raw, event.reason)
        if opened:
            self._fragments.ask(opened)
        return pieces
