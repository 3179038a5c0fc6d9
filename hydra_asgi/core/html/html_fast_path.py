"""Skips ordinary markup at the speed of `translate` and `re`, and gives up where anything unusual might be.

A window of a page that starts in content is *tame* when, judged by its `<`, `>`, `=` and quotes alone, it must end in
content too. Why that is sound: let `<` open a tag. If the tokenizer is not back in content at the next `>`, that `>`
stands in a quoted value, which was opened by `=`, white space and a quote, with no such quote up to the `>`. So: no
`="...>` or `='...>` after everything else is deleted, and no `<` before the `>` of an earlier `<`, means tame. A text
that merely looks unusual costs time (it is walked through exactly), never correctness.
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
_COMMENT: Final = re.compile(rb"<!--(?:-?>|(?:[^-]++|-(?!-!?>))*+--!?>)")
"""A whole comment (13.2.5.43 to 13.2.5.52); pages have more of them than of anything else that is special."""


class FastPath:
    """Knows which names end its competence.

    Args:
        special: finds comments, declarations and every tag whose name changes how the page goes on.
    """

    __slots__ = ("_special",)

    def __init__(self, special: re.Pattern[bytes]) -> None:
        self._special = special

    @classmethod
    def stopping_at(cls, wanted: bytes, switching: Iterable[bytes]) -> Self:
        """Make one that stops at tags of `wanted`, start tags of `switching`, `<!` and `<?`; lower-case names."""
        return cls(re.compile(f"<(?:[!?]|{any_of([wanted, *switching])}|/{any_of([wanted])})".encode()))

    def skip(self, buffer: bytes, position: int, end: int) -> tuple[int, int]:
        """Go forward in content as far as the windows are tame, whole comments included.

        Returns:
            The position reached, and up to where nothing is gained by trying again.
        """
        while position < end:
            limit = min(end, position + _WINDOW)
            found = self._special.search(buffer, position, limit)
            stop = found.start() if found else buffer.rfind(b"<", position, limit)
            if stop < 0:
                position = limit
                continue
            if stop > position:
                if not _is_tame(buffer[position:stop]):
                    return position, stop + 1
                position = stop
            elif found is None:
                return position, stop + 1
            if found is not None:
                comment = _COMMENT.match(buffer, position, end)
                if comment is None:
                    return position, stop + 1
                position = comment.end()
        return position, position


def _is_tame(window: bytes) -> bool:
    marks = window.translate(None, _ORDINARY)
    if _OPEN_QUOTE.search(marks):
        return False
    brackets = marks.translate(None, b"=\"'")
    return b"<<" not in brackets and not brackets.endswith(b"<")
