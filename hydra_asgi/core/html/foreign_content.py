"""Whether a place in a page is HTML or SVG/MathML, as far as tags alone tell.

It matters for two things only: `<![CDATA[` is a section there (HTML Standard 13.2.5.42), and `script`, `style` or
`title` are ordinary elements there, whose content is markup (13.2.6.5). No tree is built, so this is an
approximation where a page closes elements implicitly.
"""

from typing import Final

__all__ = ["FOREIGN_NAMES", "ForeignContent"]

_ROOTS: Final = frozenset({b"svg", b"math"})

_HTML_INSIDE: Final = {
    b"svg": frozenset({b"foreignobject", b"desc", b"title"}),
    b"math": frozenset({b"mi", b"mo", b"mn", b"ms", b"mtext"}),
}
"""Elements whose content is HTML again: HTML integration points and MathML text integration points (13.2.6)."""

_LEAVING: Final = frozenset(
    b"b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta "
    b"nobr ol p pre ruby s small span strike strong sub sup table tt u ul var".split()
)
"""HTML elements that end foreign content, because nobody means them inside a drawing (13.2.6.5)."""

_MAX_DEPTH: Final = 64
"""Deeper than any drawing; what lies deeper is treated as its 64th ancestor, so that a page cannot grow us."""

FOREIGN_NAMES: Final = frozenset().union(_ROOTS, _LEAVING, *_HTML_INSIDE.values())
"""Every name that `opened` or `closed` looks at."""


class ForeignContent:
    """Follows a page in and out of SVG and MathML; false while it is in HTML.

    Attributes:
        path: the open elements that matter, outermost first; may be set back to an earlier value.
    """

    __slots__ = ("path",)

    def __init__(self) -> None:
        self.path: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.path) and self.path[-1] in _ROOTS

    def opened(self, name: bytes, *, self_closing: bool) -> None:
        """Take note of a start tag (lower-case name). A self-closing one is empty here, unlike in HTML."""
        if not self:
            matters = name in _ROOTS
        elif name in _LEAVING:
            self._leave()
            return
        else:  # `svg` inside MathML is a MathML element of that name
            matters = name == self.path[-1] or name in _HTML_INSIDE[self.path[-1]]
        if matters and not self_closing and len(self.path) < _MAX_DEPTH:
            self.path += (name,)

    def closed(self, name: bytes) -> None:
        """Take note of an end tag (lower-case name)."""
        if name in self.path:
            last = len(self.path) - 1 - self.path[::-1].index(name)
            self.path = self.path[:last]
        elif name in (b"p", b"br") and self:
            self._leave()

    def _leave(self) -> None:
        while self:
            self.path = self.path[:-1]
