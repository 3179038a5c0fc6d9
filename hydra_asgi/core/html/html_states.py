r"""Where in a page a byte is: the HTML Standard's tokenizer (13.2.5), reduced to what decides whether `<` opens a tag.

Rules for whoever edits this:

* A state is a method `(buffer, position, end) -> (position, Signal | None)`. It moves forward or answers NEED_MORE.
* Where a state stops for want of bytes depends on the bytes alone, never on how they were cut into chunks. That
  makes the scanner independent of chunking.
* What follows the position is held by the caller, so stop only in front of something short that may still turn into
  a delimiter: a comment, a script or an attribute value of any length is walked through as it comes.
* White space is tab, LF, FF, CR and blank. `\s` of `re` knows a vertical tab too: do not use it.

Following a browser means: `<![CDATA[` in HTML content is a bogus comment that ends at the first `>` (a tag right
inside it is kept, as its `>` is what ends the comment), and only in SVG and MathML a section that ends at `]]>`;
`noscript` is raw text, because browsers that run scripts see it so; `<?...>` ends at the first `>`.
"""

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from hydra_asgi.core.html.foreign_content import ForeignContent
from hydra_asgi.core.html.html_grammar import FOREIGN_PREFIXES, grammar_for
from hydra_asgi.core.html.html_syntax import ATTRIBUTES
from hydra_asgi.core.html.html_text import SWITCHING, TextState, text_after

__all__ = ["HtmlStates", "Signal"]


class Signal(Enum):
    """Why `HtmlStates.advance` came back."""

    NEED_MORE = auto()
    TAG_NAMED = auto()
    """The wanted element's start tag has begun; the position is right behind its name."""
    TAG_COMPLETE = auto()
    """The position is behind the `>` of the wanted start tag."""
    END_TAG_NAMED = auto()
    """A wanted end tag has begun; the position is right behind its name."""
    END_TAG_COMPLETE = auto()
    """The position is behind the `>` of a wanted end tag."""


_Step = tuple[int, Signal | None]
_State = Callable[["HtmlStates", bytes, int, int], _Step]

_NAME: Final = re.compile(rb"</?+([A-Za-z][^ \t\n\f\r/>]*+)")
_SPACE: Final = re.compile(rb"[ \t\n\f\r]*+")
_NAME_REST: Final = re.compile(rb"[^ \t\n\f\r/>]*+")
_ATTRIBUTE_NAME_REST: Final = re.compile(rb"[^ \t\n\f\r/>=]*+")
_BARE_REST: Final = re.compile(rb"[^ \t\n\f\r>]*+")
_ATTRIBUTES: Final = re.compile(ATTRIBUTES.encode())
_SOLIDUS: Final = re.compile(rb"[ \t\n\f\r/]*+")
_CDATA: Final = b"<![CDATA["


class HtmlStates:
    """Walks through a page and reports the tags of one element where they really are tags.

    Args:
        wanted: the element's name, lower-case.
    """

    __slots__ = (
        "_exact_until",
        "_fast",
        "_is_end",
        "_name",
        "_plain",
        "_plain_foreign",
        "_prefixes",
        "_state",
        "_text",
        "_wanted",
        "foreign",
        "self_closing",
    )

    def __init__(self, wanted: bytes) -> None:
        self.foreign = ForeignContent()
        self._wanted = wanted
        self._fast, self._plain, self._plain_foreign, self._prefixes = grammar_for(wanted)
        self._state: _State = HtmlStates._content
        self._name = b""
        self._is_end = False
        self._text: TextState
        self._exact_until = 0
        self.self_closing = False

    def advance(self, buffer: bytes, position: int, end: int) -> tuple[int, Signal]:
        """Go forward from `position`, not looking at or beyond `end`, until something is to be told.

        `self_closing` says, after TAG_COMPLETE, whether the tag ended with `/>`.
        """
        self._exact_until = 0
        while True:
            position, signal = self._state(self, buffer, position, end)
            if signal is not None:
                return position, signal

    def leave_tag(self) -> None:
        """After TAG_NAMED: the caller goes on behind the element's end tag, with nothing but text in between."""
        self._state = HtmlStates._content

    # -- content ------------------------------------------------------------------------------------------------

    def _content(self, buffer: bytes, position: int, end: int) -> _Step:
        position = self._skip_ordinary(buffer, position, end)
        position = buffer.find(b"<", position, end)
        if position < 0:
            return end, Signal.NEED_MORE
        if position + 1 == end:
            return position, Signal.NEED_MORE
        match buffer[position + 1]:
            case 0x21:  # !
                return self._declaration(buffer, position, end)
            case 0x3F:  # ?
                self._enter("bracket")
                return position + 2, None
            case 0x2F if position + 2 == end:  # /
                return position, Signal.NEED_MORE
            case _:
                return self._tag_open(buffer, position, end)

    def _skip_ordinary(self, buffer: bytes, position: int, end: int) -> int:
        """Pass over what needs no state: in tame windows at full speed, else by whole tags, if there are any."""
        if self.foreign.path:
            found = self._plain_foreign.match(buffer, position, end)
        elif position < self._exact_until:
            found = self._plain.match(buffer, position, self._exact_until - 1)
        else:
            position, self._exact_until = self._fast.skip(buffer, position, end)
            found = self._plain.match(buffer, position, self._exact_until - 1)
        return found.end() if found else position

    def _declaration(self, buffer: bytes, position: int, end: int) -> _Step:
        start = buffer[position : min(end, position + len(_CDATA))]
        if start.startswith(b"<!--"):
            return self._comment_start(start, position)
        if start == _CDATA and self.foreign:
            self._enter("cdata")
            return position + len(_CDATA), None
        if b"<!--".startswith(start) or (self.foreign and _CDATA.startswith(start)):
            return position, Signal.NEED_MORE
        self._enter("bracket")
        return position + 2, None

    def _comment_start(self, start: bytes, position: int) -> _Step:
        """`<!-->` and `<!--->` are whole comments (13.2.5.43, 13.2.5.44)."""
        for whole in (b"<!-->", b"<!--->"):
            if start.startswith(whole):
                return position + len(whole), None
            if whole.startswith(start):
                return position, Signal.NEED_MORE
        self._enter("comment")
        return position + 4, None

    def _tag_open(self, buffer: bytes, position: int, end: int) -> _Step:
        found = _NAME.match(buffer, position, end)
        if found is None:
            return self._no_tag(buffer, position)
        name = found[1].lower()
        self._is_end = buffer[position + 1] == 0x2F
        if found.end() == end:
            if name in self._prefixes or (self.foreign.path and name in FOREIGN_PREFIXES):
                return position, Signal.NEED_MORE
            self._state, self._name = HtmlStates._tag_name, b""
            return end, Signal.NEED_MORE
        self._state, self._name = HtmlStates._before_attribute, name
        if name != self._wanted:
            return found.end(), None
        return found.end(), Signal.END_TAG_NAMED if self._is_end else Signal.TAG_NAMED

    def _no_tag(self, buffer: bytes, position: int) -> _Step:
        """`<` before anything but a letter is text; `</` is a bogus comment or, as `</>`, nothing at all."""
        if buffer[position + 1] != 0x2F:
            return position + 1, None
        self._enter("bracket")
        return position + 2, None

    # -- inside a tag -------------------------------------------------------------------------------------------

    def _tag_name(self, buffer: bytes, position: int, end: int) -> _Step:
        return self._rest_of(_NAME_REST, HtmlStates._before_attribute, buffer, position, end)

    def _before_attribute(self, buffer: bytes, position: int, end: int) -> _Step:
        found = _ATTRIBUTES.match(buffer, position, end)
        position = found.end() if found else position
        after = _SOLIDUS.match(buffer, position, end)
        solidus = after is not None and after.end() > position and buffer[after.end() - 1] == 0x2F
        position = after.end() if after else position
        if position == end:
            return position - solidus, Signal.NEED_MORE
        if buffer[position] == 0x3E:
            return position + 1, self._tag_complete(self_closing=solidus)
        self._state = HtmlStates._attribute_name
        return position + 1, None

    def _attribute_name(self, buffer: bytes, position: int, end: int) -> _Step:
        return self._rest_of(_ATTRIBUTE_NAME_REST, HtmlStates._after_attribute_name, buffer, position, end)

    def _after_attribute_name(self, buffer: bytes, position: int, end: int) -> _Step:
        position, signal = self._rest_of(_SPACE, HtmlStates._before_attribute, buffer, position, end)
        if signal is None and buffer[position] == 0x3D:  # =
            self._state = HtmlStates._before_value
            return position + 1, None
        return position, signal

    def _before_value(self, buffer: bytes, position: int, end: int) -> _Step:
        position, signal = self._rest_of(_SPACE, HtmlStates._bare_value, buffer, position, end)
        if signal is not None:
            return position, signal
        if buffer[position] == 0x22:
            self._state = HtmlStates._double_quoted
            return position + 1, None
        if buffer[position] == 0x27:
            self._state = HtmlStates._single_quoted
            return position + 1, None
        return position, None

    def _double_quoted(self, buffer: bytes, position: int, end: int) -> _Step:
        return self._past(b'"', HtmlStates._before_attribute, buffer, position, end)

    def _single_quoted(self, buffer: bytes, position: int, end: int) -> _Step:
        return self._past(b"'", HtmlStates._before_attribute, buffer, position, end)

    def _bare_value(self, buffer: bytes, position: int, end: int) -> _Step:
        return self._rest_of(_BARE_REST, HtmlStates._before_attribute, buffer, position, end)

    def _tag_complete(self, *, self_closing: bool) -> Signal | None:
        name = self._name
        self._state = HtmlStates._content
        if self._is_end:
            self.foreign.closed(name)
            return Signal.END_TAG_COMPLETE if name == self._wanted else None
        if name in SWITCHING and not self.foreign:  # whatever the tag ends with (13.2.6.4.4, 13.2.6.4.7)
            self._enter(name.decode())
        self.foreign.opened(name, self_closing=self_closing)
        self.self_closing = self_closing
        return Signal.TAG_COMPLETE if name == self._wanted else None

    # -- text that is not markup --------------------------------------------------------------------------------

    def _in_text(self, buffer: bytes, position: int, end: int) -> _Step:
        position, following = self._text.run(buffer, position, end)
        if following is None:
            return position, Signal.NEED_MORE
        self._enter(following)
        return position, None

    def _enter(self, name: str) -> None:
        text = text_after(name)
        if text is None:
            self._state = HtmlStates._content
        else:
            self._state, self._text = HtmlStates._in_text, text

    # -- moves that several states share ------------------------------------------------------------------------

    def _rest_of(self, run: re.Pattern[bytes], following: _State, buffer: bytes, position: int, end: int) -> _Step:
        """Walk over a run of bytes; it has ended only when another byte is there."""
        found = run.match(buffer, position, end)
        position = found.end() if found else position
        if position == end:
            return position, Signal.NEED_MORE
        self._state = following
        return position, None

    def _past(self, delimiter: bytes, following: _State, buffer: bytes, position: int, end: int) -> _Step:
        found = buffer.find(delimiter, position, end)
        if found < 0:
            return end, Signal.NEED_MORE
        self._state = following
        return found + 1, None
