"""Takes one element out of a rendered page with selectolax (the Lexbor parser).

Lexbor takes seconds, and blocks, on a page with tens of thousands of nested elements or of attributes in one tag. So
a scan that looks at every byte once goes first and refuses such pages, and large ones are parsed in a thread.
"""

import asyncio
import re

from selectolax.lexbor import LexborHTMLParser, SelectolaxError

from hydra_asgi.core.patterns import at_most_one, many
from hydra_asgi.errors import ConfigurationError, PickError

__all__ = [
    "MAX_ATTRIBUTES",
    "MAX_BYTES",
    "MAX_DEPTH",
    "SelectolaxPicker",
    "check_page",
    "check_selector",
    "pick_element",
]

MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 512
"""Browsers stop nesting at 512 too (Blink's HTMLParser)."""
MAX_ATTRIBUTES = 256

MAX_SELECTOR = 512
IN_THREAD = 64 * 1024
"""Bytes. What is smaller is parsed in about a millisecond, less than a thread's turn may take."""

_ATTRIBUTE = r"[^ \t\n\f\r/>][^ \t\n\f\r/>=]*+" + at_most_one(
    r"[ \t\n\f\r]*+=[ \t\n\f\r]*+(?:\"[^\"]*+\"|'[^']*+'|[^ \t\n\f\r>]*+)"
)
_ATTRIBUTES = re.compile(_ATTRIBUTE.encode())
_ALL_ATTRIBUTES = many(rf"[ \t\n\f\r/]++|{_ATTRIBUTE}")
_MARKUP = re.compile(rf"<(?:(!--)|(/?)([A-Za-z][^ \t\n\f\r/>]*+)({_ALL_ATTRIBUTES}))".encode())

_COMMENT_END = re.compile(rb"--!?>")
# Their content is text, except inside SVG and MathML.
_RAW = {
    name: re.compile(rb"</" + name + rb"(?=[ \t\n\f\r/>])", re.IGNORECASE)
    for name in (b"script", b"style", b"title", b"textarea", b"xmp", b"iframe", b"noembed", b"noframes")
}
# These never hold another one of their own: void elements, and those that the next of their kind closes.
_FLAT = frozenset(
    b"area base br col embed hr img input link meta param source track wbr p li dt dd option optgroup"
    b" td th tr tbody thead tfoot colgroup caption rb rt rp rtc".split()
)


class SelectolaxPicker:
    """The `Picker` port."""

    async def pick(self, html: bytes, selector: str) -> bytes | None:
        """See `Picker`. The picked element's own `m:ref` is taken off (CONTRACT.md 2.5)."""
        if len(html) > IN_THREAD:
            return await asyncio.to_thread(pick_element, html, selector)
        return pick_element(html, selector)


def check_selector(selector: str) -> None:
    """Refuse a CSS selector that could never work.

    Raises:
        ConfigurationError: it is too long, or the parser does not understand it.
    """
    try:
        if len(selector) > MAX_SELECTOR:
            raise SelectolaxError(f"more than {MAX_SELECTOR} characters")
        LexborHTMLParser("<p></p>").css_first(selector)
    except SelectolaxError as error:
        raise ConfigurationError(
            rf"select= is {selector[:80]!r}, not a CSS selector ({error}) such as '#basket' or '[m\:ref=basket]'"
        ) from error


def pick_element(html: bytes, selector: str) -> bytes | None:
    """The first element that a selector matches, without its own `m:ref`; None when there is none.

    Raises:
        PickError: the page is larger than the limits of this module.
    """
    check_page(html)
    element = LexborHTMLParser(html.decode("utf-8", "replace")).css_first(selector)
    if element is None:
        return None
    if "m:ref" in element.attrs:
        del element.attrs["m:ref"]
    return (element.html or "").encode("utf-8", "replace")


def check_page(html: bytes) -> None:
    """Refuse a page that could keep the parser busy.

    The depth is an upper bound for ordinary markup: elements that the next of their kind closes are not counted, end
    tags without a start tag change nothing.

    Raises:
        PickError: too many bytes, too deep, or too many attributes in one tag.
    """
    if len(html) > MAX_BYTES:
        raise PickError(f"the page has {len(html)} bytes, at most {MAX_BYTES} are searched for a fragment")
    position, depth = 0, 0
    unclosed: dict[bytes, int] = {}
    while (found := _MARKUP.search(html, position)) is not None:
        comment, slash, name, attributes = found.groups()
        position = found.end()
        if comment:  # `<!-->` is whole, so the search starts at its first dash
            position = _after(html, _COMMENT_END, found.start() + 2)
            continue
        name = name.lower()
        if len(attributes) > 2 * MAX_ATTRIBUTES and len(_ATTRIBUTES.findall(attributes)) > MAX_ATTRIBUTES:
            raise PickError(f"a {name[:40]!r} tag has more than {MAX_ATTRIBUTES} attributes")
        if name in _RAW and not slash and not (unclosed.get(b"svg") or unclosed.get(b"math")):
            position = _after(html, _RAW[name], position)
        elif name in _FLAT or (slash and not unclosed.get(name)):
            continue
        else:
            step = -1 if slash else 1
            unclosed[name] = unclosed.get(name, 0) + step
            depth += step
            if depth > MAX_DEPTH:
                raise PickError(f"the page is more than {MAX_DEPTH} elements deep at byte {found.start()}")


def _after(html: bytes, end: re.Pattern[bytes], position: int) -> int:
    """Behind the next `end`, or the page's end: what is unclosed takes the rest."""
    found = end.search(html, position)
    return len(html) if found is None else found.end()
