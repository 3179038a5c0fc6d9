"""Skips ordinary markup at the speed of `translate` and `re`, and gives up where anything unusual might be.

A window of a page that starts in content is *tame* when, judged by its `<`, `>`, `=` and quotes alone, it must end in
content too. Why that is sound: let `<` open a tag. If the tokenizer is not back in content at the next `>`, that `>`
stands in a quoted value, which was opened by `=`, white space and a quote, with no such quote up to the `>`. So: no
`="...>` or `='...>` after everything else is deleted, and no `<` before the `>` of an earlier `<`, means tame. A text
that merely looks unusual costs time (it is walked through exactly), never correctness.

Whole comments are judged as if `<>` stood there. What is tame then is tame up to each of them, so they are comments:
a `<!--` inside a tag or a value leaves `<<` behind.
"""

import re
from collections.abc import Iterable
from typing import Final, Self

from hydra_asgi.core.html.html_syntax import any_of

__all__ = ["FastPath"]

_WINDOW: Final = 8192
"""Judged at once. Small, so that one unusual place makes little of the page slow; big enough to pay for the calls."""

_ORDINARY: Final = bytes(set(range(256)) - set(b"<>=\"'"))
_OPEN_QUOTE: Final = re.compile(rb"=(?:\"[^\">]*+>|'[^'>]*+>)")


class FastPath:
    """Knows which names end its competence.

    Args:
        special: finds declarations and every tag whose name changes how the page goes on.
    """

    __slots__ = ("_special",)

    def __init__(self, special: re.Pattern[bytes]) -> None:
        self._special = special

    @classmethod
    def stopping_at(cls, wanted: bytes, switching: Iterable[bytes]) -> Self:
        """Make one that stops at tags of `wanted`, start tags of `switching`, `<!` and `<?`; lower-case names."""
        names = [wanted, *switching]
        first = re.escape("".join({char for name in names for char in name[:1].decode() + name[:1].decode().upper()}))
        # The first letter alone settles it for most tags, and is looked at before all names are.
        named = f"(?=[{first}]){any_of(names)}"
        return cls(re.compile(f"<(?:{named}|!(?!--)|[?]|/{any_of([wanted])})".encode()))

    def skip(self, buffer: bytes, position: int, end: int) -> tuple[int, int]:
        """Go forward in content as far as the windows are tame, whole comments included.

        Returns:
            The position reached, and up to where nothing is gained by trying again.
        """
        while position < end:
            limit = min(end, position + _WINDOW)
            special = self._special.search(buffer, position, limit)
            is_over = special is not None
            border, again = (special.start() if special else limit), 0
            pieces, start = [], position  # the markup between comments, and where its last piece begins
            while (comment := buffer.find(b"<!--", start, border)) >= 0:
                after = _end_of_comment(buffer, comment, end)
                if after is None:
                    is_over, border, again = True, comment, border
                    break
                pieces.append(buffer[start:comment])
                start = after
            if start > border:  # what seemed special stands in a comment, or the window ends in one
                is_over, border = False, start
            if not is_over:  # the last tag may go on behind the window
                last = buffer.rfind(b"<", start, border)
                border = border if last < 0 else last
            pieces.append(buffer[start:border])
            if not _is_tame(b"<>".join(pieces)):
                # Behind the window, not at the `<!--`: a page full of those in values would be searched over and over.
                return position, max(border, again) + 1
            if is_over or border == position:
                return border, border + 1
            position = border
        return position, position


def _end_of_comment(buffer: bytes, start: int, end: int) -> int | None:
    """Behind the comment that begins there (13.2.5.43 to 13.2.5.52); None when it is long or its end is not there."""
    end = min(end, start + _WINDOW)
    dashes = buffer.find(b"-->", start + len(b"<!"), end)  # `<!-->` and `<!--->` are comments
    bang = buffer.find(b"--!>", start + len(b"<!--"), end if dashes < 0 else dashes)
    if bang >= 0:
        return bang + len(b"--!>")
    return None if dashes < 0 else dashes + len(b"-->")


def _is_tame(window: bytes) -> bool:
    marks = window.translate(None, _ORDINARY)
    if _OPEN_QUOTE.search(marks):
        return False
    brackets = marks.translate(None, b"=\"'")
    return b"<<" not in brackets and not brackets.endswith(b"<")
