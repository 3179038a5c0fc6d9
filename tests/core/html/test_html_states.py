"""The reduced tokenizer: what it tells, and where it stops for want of bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_asgi.core.html.html_states import HtmlStates, Signal

PIECES = [
    *(
        b"<",
        b">",
        b"/",
        b"</",
        b"<!",
        b"--",
        b"-",
        b"->",
        b"!",
        b"?",
        b"=",
        b"'",
        b'"',
        b" ",
        b"\n",
        b"a",
        b"[CDATA[",
        b"]]>",
    ),
    *(b"<x", b"<x>", b"</x>", b"<x a=b/>", b"<script", b"script>", b"<style>", b"style", b"<svg>", b"</svg>", b"<p>"),
    *(b"<title>", b"<desc>", b"<plaintext>", b"title ", b"<a b='", b'<a b="', b"<xmp", b"s"),
]


def signals(page: bytes, size: int | None = None) -> list[tuple[int, Signal]]:
    """Every signal with its place in the page, fed in pieces of a size."""
    states = HtmlStates(b"x")
    told: list[tuple[int, Signal]] = []
    position = 0
    ends = [len(page)] if size is None else [*range(size, len(page), size), len(page)]
    for end in ends:
        while True:
            position, signal = states.advance(page, position, end)
            if signal is Signal.NEED_MORE:
                break
            told.append((position, signal))
    told.append((position, Signal.NEED_MORE))
    return told


def test_tags_of_the_wanted_element_are_told() -> None:
    """A start tag is told behind its name and behind its end, an end tag too; other elements are not."""
    assert signals(b"<y><X a='>'>b</x ></y>") == [
        (5, Signal.TAG_NAMED),
        (12, Signal.TAG_COMPLETE),
        (16, Signal.END_TAG_NAMED),
        (18, Signal.END_TAG_COMPLETE),
        (22, Signal.NEED_MORE),
    ]


@pytest.mark.parametrize(
    ("tag", "self_closing"),
    [
        (b"<x>", False),
        (b"<x/>", True),
        (b"<x / >", False),
        (b"<x a=b/>", False),
        (b"<x a='b'/>", True),
        (b"<x a=/>", False),
    ],
)
def test_self_closing_is_told(tag: bytes, self_closing: bool) -> None:
    """Only a solidus outside of a value, right before the bracket, closes a tag."""
    states = HtmlStates(b"x")
    position, _ = states.advance(tag, 0, len(tag))
    assert states.advance(tag, position, len(tag)) == (len(tag), Signal.TAG_COMPLETE)
    assert states.self_closing is self_closing


@pytest.mark.parametrize(
    ("page", "position"),
    [
        (b"abc", 3),
        (b"abc<", 3),
        (b"abc</", 3),
        (b"abc<!-", 3),
        (b"abc<!--", 3),
        (b"abc<!---", 3),
        (b"abc<!--a", 8),
        (b"abc<!--a--", 8),
        (b"abc<scri", 3),
        (b"abc<div", 7),
        (b"abc<des", 7),
        (b"<svg><des", 5),
        (b"<svg><![CDA", 5),
        (b"<![CDA", 6),
        (b"<a b='c", 7),
        (b"<a b /", 5),
        (b"<title></titl", 7),
    ],
)
def test_it_stops_in_front_of_what_may_become_a_delimiter(page: bytes, position: int) -> None:
    """Everything else is walked through, however long it grows."""
    assert signals(page) == [(position, Signal.NEED_MORE)]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join), st.integers(1, 7))
def test_cuts_change_neither_signals_nor_stops(page: bytes, size: int) -> None:
    """Signals and the place where it stops depend on the bytes alone."""
    assert signals(page, size) == signals(page)


@pytest.mark.parametrize("comment", [b"<!-->", b"<!--->", b"<!--a-->"])
def test_comments_end_in_drawings_too(comment: bytes) -> None:
    """Where the fast way is no help, the shortest comments are whole as well."""
    page = b"<svg>" + comment + b"<x"
    assert signals(page + b">")[0] == (len(page), Signal.TAG_NAMED)


def test_a_tag_can_be_left() -> None:
    """A caller that found the element's end by itself goes on behind it."""
    page = b"<x>'</x><x>"
    states = HtmlStates(b"x")
    assert states.advance(page, 0, len(page)) == (2, Signal.TAG_NAMED)
    states.leave_tag()
    assert states.advance(page, 8, len(page)) == (10, Signal.TAG_NAMED)
