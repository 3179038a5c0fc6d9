"""Finds `<m:fragment ...>fallback</m:fragment>` in a page that arrives in pieces.

Three laws, each a property test: *lossless* (the raw bytes of all events are the input), *independent of chunking*
(the same events however the page was cut, once neighbouring texts are joined) and *bounded* (`held` stays below
`max_start_tag` + `max_body` + a few bytes). Only places where a browser sees a tag count, see `html_states`.

Whether a place is one of those matters only where something looks like the tag. So a page is told as it comes, and
walked through later, when a tag seems to come or enough is owed: most pages have no tag and are never walked.

Malformed input degrades to itself: a tag that is never closed, or whose body is too long, passes raw from its start
tag on, and its children show. `<m:fragment/>` is a tag with an empty body. A start tag longer than `max_start_tag` and
an end tag without a start are text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from hydra_asgi.core.html.fragment_tag import FragmentTag, parse_fragment_tag
from hydra_asgi.core.html.html_states import HtmlStates, Signal
from hydra_asgi.core.html.html_syntax import plain_element, start_of
from hydra_asgi.core.html.owed import Owed

__all__ = ["TAG_NAME", "Event", "Scanner", "TagAbandoned", "TagClosed", "TagOpened", "Text"]

TAG_NAME: Final = b"m:fragment"
"""What a fragment tag is called, in any case."""


@dataclass(frozen=True, slots=True)
class Text:
    """Bytes of the page that are no fragment tag."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class TagOpened:
    """A start tag is complete; exactly one `TagClosed` or `TagAbandoned` follows before anything else.

    Attributes:
        raw: the start tag.
        tag: what it says.
        self_closed: it ended with `/>`, so its body is empty.
    """

    raw: bytes
    tag: FragmentTag
    self_closed: bool


@dataclass(frozen=True, slots=True)
class TagClosed:
    """The end tag is there.

    Attributes:
        raw: body and end tag; empty after a self-closed tag.
        body: the fallback.
    """

    raw: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class TagAbandoned:
    """No end tag within bounds: start tag and these bytes are to be shown as they are.

    Attributes:
        raw: everything held after the start tag.
        reason: why, for the log.
    """

    raw: bytes
    reason: str


Event = Text | TagOpened | TagClosed | TagAbandoned


_plain_element = cache(plain_element)
_start_of = cache(start_of)


class Scanner:
    """A push parser for one page: `feed` it, then `close` it.

    Args:
        name: the tag's name in any case.
        max_body: the longest body in bytes; it is held back while the fragment is fetched, so it is memory.
        max_start_tag: the longest start tag in bytes; room for two full binding lists.
    """

    __slots__ = (
        "_body_size",
        "_depth",
        "_foreign",
        "_kept",
        "_kept_size",
        "_max_raw",
        "_max_start_tag",
        "_mode",
        "_name_size",
        "_opening",
        "_owed",
        "_plain",
        "_rest",
        "_start",
        "_states",
        "_told",
    )

    def __init__(self, *, name: bytes = TAG_NAME, max_body: int = 16384, max_start_tag: int = 8192) -> None:
        self._start = b"<" + name.lower()
        self._states = HtmlStates(name.lower())
        self._opening = _start_of(name.lower())
        self._plain = _plain_element(name.lower())
        self._name_size = len(name)
        self._max_start_tag = max_start_tag
        self._max_raw = max_body + len(b"</>") + len(name)
        self._mode: _Mode = Scanner._outside
        self._kept: list[bytes] = []  # walked through, but part of an event that is not complete
        self._kept_size = 0
        self._owed = Owed()  # told, but not walked through; nothing inside an element
        self._told = 0  # up to where the buffer was told, when something is to be walked through outside
        self._rest = b""  # a few bytes that may become a delimiter
        self._depth = 0
        self._body_size = 0
        self._foreign: tuple[bytes, ...] = ()

    @property
    def held(self) -> int:
        """How many bytes were fed and are in no event yet."""
        return self._kept_size + len(self._rest)

    def feed(self, data: bytes) -> list[Event]:
        """Take the next piece of the page; returns what is now certain."""
        buffer = self._rest + data if self._rest else data
        self._rest = b""
        events: list[Event] = []
        position: int | None = 0
        while position is not None:
            if self._mode is Scanner._outside:
                if self._opening.search(buffer, position) is None:
                    self._pass(buffer, position, events)
                    break
                self._told = position + self._owed.size
                if self._owed.size:  # only when nothing of this buffer was walked through
                    buffer = self._owed.take() + buffer
            position = self._mode(self, buffer, position, events)
        return events

    def close(self) -> list[Event]:
        """The page has ended; returns what was held."""
        raw = self._take() + self._rest
        self._rest = b""
        self._owed.take()
        if self._mode is Scanner._in_body:
            self._mode = Scanner._outside
            return [TagAbandoned(raw, "the page ended before the end tag")]
        self._mode = Scanner._outside
        return [Text(raw)] if raw else []

    def _outside(self, buffer: bytes, start: int, events: list[Event]) -> int | None:
        position, signal = self._walk(buffer, start)
        if signal is Signal.NEED_MORE:
            # What was walked through is no tag, whatever it looks like.
            cut = max(position, self._certain(buffer, position))
            self._tell(buffer[self._told : cut], events)
            self._owed.add(buffer[position:cut])
            self._rest = buffer[cut:]
            return None
        tag = position - self._name_size - 1
        self._tell(buffer[self._told : tag], events)
        found = self._plain.match(buffer, position)
        if found is not None and self._fits(found):
            return self._whole_element(buffer, tag, found, events)
        self._keep(buffer[tag:position])
        self._mode = Scanner._in_start_tag
        return position

    def _pass(self, buffer: bytes, start: int, events: list[Event]) -> None:
        """Tell what holds no start tag, and put off walking through it."""
        cut = self._certain(buffer, start)
        self._rest = buffer[cut:]
        piece = buffer[start:cut]
        self._tell(piece, events)
        self._owed.add(piece)
        if self._owed.is_due:
            owed = self._owed.take()
            self._owed.add(owed[self._walk(owed, 0)[0] :])

    def _walk(self, buffer: bytes, position: int) -> tuple[int, Signal]:
        """Go forward to the next start tag or to the end of the bytes."""
        position, signal = self._states.advance(buffer, position, len(buffer))
        while signal not in (Signal.NEED_MORE, Signal.TAG_NAMED):  # tags that have been given up already
            position, signal = self._states.advance(buffer, position, len(buffer))
        return position, signal

    def _certain(self, buffer: bytes, start: int) -> int:
        """Up to where the bytes can be told: what comes next may make a start tag of the last few."""
        cut = buffer.rfind(b"<", max(start, len(buffer) - len(self._start)))
        return cut if cut >= 0 and self._start.startswith(buffer[cut:].lower()) else len(buffer)

    @staticmethod
    def _tell(raw: bytes, events: list[Event]) -> None:
        if raw:
            events.append(Text(raw))

    def _fits(self, found: re.Match[bytes]) -> bool:
        start_tag = 1 + self._name_size + len(found[1]) + 1
        return start_tag <= self._max_start_tag and found.end() - found.start(2) <= self._max_raw

    def _whole_element(self, buffer: bytes, tag: int, found: re.Match[bytes], events: list[Event]) -> int:
        """The usual tag, all there and with text inside, in one step; the long way gives the same events."""
        body = found.start(2)
        events.append(TagOpened(buffer[tag:body], parse_fragment_tag(found[1]), False))
        events.append(TagClosed(buffer[body : found.end()], found[2]))
        self._states.leave_tag()
        return found.end()

    def _in_start_tag(self, buffer: bytes, start: int, events: list[Event]) -> int | None:
        position, signal = self._states.advance(buffer, start, len(buffer))
        self._keep(buffer[start:position])
        if self._kept_size > self._max_start_tag:
            events.append(Text(self._take()))
            self._mode = Scanner._outside
            return position
        if signal is Signal.NEED_MORE:
            self._rest = buffer[position:]
            return None
        raw = self._take()
        closed = self._states.self_closing
        events.append(TagOpened(raw, parse_fragment_tag(raw[1 + self._name_size : -1]), closed))
        if closed:
            events.append(TagClosed(b"", b""))
            self._mode = Scanner._outside
        else:
            self._mode, self._depth, self._foreign = Scanner._in_body, 0, self._states.foreign.path
        return position

    def _in_body(self, buffer: bytes, start: int, events: list[Event]) -> int | None:
        limit = start + self._max_raw - self._kept_size
        position, signal = self._states.advance(buffer, start, min(limit, len(buffer)))
        self._keep(buffer[start:position])
        match signal:
            case Signal.TAG_COMPLETE:
                self._depth += not self._states.self_closing
            case Signal.END_TAG_NAMED:
                self._body_size = self._kept_size - self._name_size - len(b"</")
            case Signal.END_TAG_COMPLETE if self._depth:
                self._depth -= 1
            case Signal.END_TAG_COMPLETE:
                self._close_tag(events)
            case Signal.NEED_MORE if len(buffer) < limit:
                self._rest = buffer[position:]
                return None
            case Signal.NEED_MORE:
                reason = f"no end tag within {self._max_raw} bytes"
                events.append(TagAbandoned(self._take(), reason))
                self._mode = Scanner._outside
        return position

    def _close_tag(self, events: list[Event]) -> None:
        raw = self._take()
        events.append(TagClosed(raw, raw[: self._body_size]))
        # The body may not be shown at all, so what it leaves open says nothing about the page after it.
        self._states.foreign.path = self._foreign
        self._mode = Scanner._outside

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._kept.append(piece)
            self._kept_size += len(piece)

    def _take(self) -> bytes:
        taken = b"".join(self._kept)
        self._kept.clear()
        self._kept_size = 0
        return taken


_Mode = Callable[[Scanner, bytes, int, list[Event]], int | None]
