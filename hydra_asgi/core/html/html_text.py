"""The tokenizer's states in which nothing is markup but a delimiter, as a table (HTML Standard 13.2.5).

Rules for whoever edits this: a state ends at one of its delimiters, and the table says where to go on and how many
bytes of the delimiter belong to what follows. While none is in sight, the longest end of the bytes that may still
become one is kept; that depends on the bytes alone, so the way they were cut does not matter.
"""

import re
from dataclasses import dataclass
from typing import Final

from hydra_asgi.core.html.html_syntax import any_of

__all__ = ["RAW_TEXT", "SWITCHING", "TextState", "text_after"]

RAW_TEXT: Final = (b"title", b"textarea", b"style", b"xmp", b"iframe", b"noembed", b"noframes", b"noscript")
"""RCDATA and RAWTEXT elements: nothing but their own end tag is markup in them (13.2.5.2, 13.2.5.3)."""

SWITCHING: Final = frozenset({*RAW_TEXT, b"script", b"plaintext"})
"""Elements of HTML whose content is text."""


@dataclass(frozen=True, slots=True)
class _Exit:
    """Behind a delimiter: the next text state (`""`: content again), and how many bytes of it are read again."""

    state: str = ""
    again: int = 0


@dataclass(frozen=True, slots=True)
class TextState:
    """One state.

    Attributes:
        delimiter: finds where it ends.
        starts: what a delimiter may begin with, lower-case, without what only has to follow it.
        exits: by lower-case delimiter.
    """

    delimiter: re.Pattern[bytes]
    starts: tuple[bytes, ...]
    exits: dict[bytes, _Exit]

    def run(self, buffer: bytes, position: int, end: int) -> tuple[int, str | None]:
        """Go forward; returns the position and the state that follows, None while this one goes on."""
        found = self.delimiter.search(buffer, position, end)
        if found is None:
            return self._before_tail(buffer, position, end), None
        leave = self.exits[found[0].lower()]
        return found.end() - leave.again, leave.state

    def _before_tail(self, buffer: bytes, position: int, end: int) -> int:
        longest = max(map(len, self.starts), default=0)
        tail = buffer[max(position, end - longest) : end].lower()
        for cut in range(len(tail)):
            if any(start.startswith(tail[cut:]) for start in self.starts):
                return end - len(tail) + cut
        return end


def _state(delimiter: str, starts: tuple[bytes, ...], exits: dict[bytes, _Exit]) -> TextState:
    return TextState(re.compile(delimiter.encode()), starts, exits)


def _raw(name: bytes) -> TextState:
    end_tag = b"</" + name
    return _state(f"</{any_of([name])}{_TAG_END}", (end_tag,), {end_tag: _Exit(again=len(end_tag))})


_END_SCRIPT: Final = b"</script"
_SCRIPT: Final = any_of([b"script"])
_TAG_END: Final = r"(?=[ \t\n\f\r/>])"

_STATES: Final[dict[str, TextState]] = {
    "bracket": _state(">", (), {b">": _Exit()}),
    "comment": _state("--!?>", (b"--!", b"--"), {b"-->": _Exit(), b"--!>": _Exit()}),
    "cdata": _state("]]>", (b"]]>",), {b"]]>": _Exit()}),
    "plaintext": _state("(?!)", (), {}),
    **{name.decode(): _raw(name) for name in RAW_TEXT},
    # 13.2.5.4 and 13.2.5.15 to 13.2.5.31. `<!-->` ends at once: the dashes of `<!--` count for `-->` too.
    "script": _state(
        f"<(?:!--|/{_SCRIPT}{_TAG_END})",
        (b"<!--", _END_SCRIPT),
        {b"<!--": _Exit("script-escaped", again=2), _END_SCRIPT: _Exit(again=8)},
    ),
    "script-escaped": _state(
        f"-->|</?{_SCRIPT}{_TAG_END}",
        (b"-->", b"<script", _END_SCRIPT),
        {b"-->": _Exit("script"), b"<script": _Exit("script-double"), _END_SCRIPT: _Exit(again=8)},
    ),
    "script-double": _state(
        f"-->|</{_SCRIPT}{_TAG_END}",
        (b"-->", _END_SCRIPT),
        {b"-->": _Exit("script"), _END_SCRIPT: _Exit("script-escaped")},
    ),
}


def text_after(name: str) -> TextState | None:
    """The text state of that name: an element's, or `bracket`, `comment`, `cdata`. None: content follows."""
    return _STATES.get(name)
