import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_asgi.backends.selectolax_picker import (
    IN_THREAD,
    MAX_ATTRIBUTES,
    MAX_BYTES,
    MAX_DEPTH,
    SelectolaxPicker,
    check_page,
    check_selector,
    pick_element,
)
from hydra_asgi.errors import ConfigurationError, PickError

PAGE = (
    '<!doctype html><html xmlns:m="http://www.getmedusa.io"><head><title><p m:ref=a></title></head><body>'
    '<p id="first">é</p><div m:ref="a" class="b c">one <b>two</b> <i m:ref="inner">three</i></div>'
    "<!-- <div m:ref=hidden></div> --><script>'<div m:ref=hidden></div>'</script>"
).encode()


def test_element() -> None:
    """The element is picked with its tag, without its own m:ref; those inside it stay."""
    assert pick_element(PAGE, r"[m\:ref=a]") == (b'<div class="b c">one <b>two</b> <i m:ref="inner">three</i></div>')


def test_text_is_utf8() -> None:
    """Text beyond ASCII stays as it is."""
    assert pick_element(PAGE, "#first") == '<p id="first">é</p>'.encode()


@pytest.mark.parametrize("selector", ["#none", r"[m\:ref=hidden]"])
def test_nothing(selector: str) -> None:
    """What is in no element, or only in comments and scripts, is not there."""
    assert pick_element(PAGE, selector) is None


@pytest.mark.parametrize("size", [10, IN_THREAD + 1])
async def test_port(size: int) -> None:
    """Small and large pages give the same answer; the loop is not blocked by a large one."""
    html = b"<p id=x>x</p>" + b" " * size
    assert await SelectolaxPicker().pick(html, "#x") == b'<p id="x">x</p>'


@pytest.mark.parametrize("selector", ["#x", r"[m\:ref=a]", "main > section:first-child"])
def test_good_selectors(selector: str) -> None:
    """A selector that the parser understands passes."""
    check_selector(selector)


@pytest.mark.parametrize("selector", ["", "[", "a >", "a:nope", "x" * 513])
def test_wrong_selectors(selector: str) -> None:
    """A selector that cannot work stops start-up, with an example of one that does."""
    with pytest.raises(ConfigurationError, match=r"select= is .* such as"):
        check_selector(selector)


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        (b" " * (MAX_BYTES + 1), "bytes"),
        (b"<div>" * (MAX_DEPTH + 1), "elements deep"),
        (b"<DIV a='>'>" * (MAX_DEPTH + 1), "elements deep"),
        (b"</b><div>" * (MAX_DEPTH + 1), "elements deep"),
        (b"<!--><div>" * (MAX_DEPTH + 1) + b"-->", "elements deep"),
        (b"<!-- --!><div>" * (MAX_DEPTH + 1) + b"-->", "elements deep"),
        (b"<svg><title>" + b"<g>" * MAX_DEPTH + b"</title>", "elements deep"),
        (b"<script></script><div>" * (MAX_DEPTH + 1), "elements deep"),
        (b"<p " + b"a " * (MAX_ATTRIBUTES + 1) + b">", "attributes"),
        (b"<p x' " + b"a='1' " * (MAX_ATTRIBUTES + 1) + b"'>", "attributes"),
        (b"</p " + b"abc " * 300, "attributes"),
    ],
)
def test_refused(html: bytes, reason: str) -> None:
    """Pages that would keep the parser busy are refused, however their depth is disguised."""
    with pytest.raises(PickError, match=reason):
        check_page(html)


@pytest.mark.parametrize(
    "html",
    [
        b"<div>" * MAX_DEPTH,
        b"<div></div>" * 5000,
        b"<p>text<br>" * 5000,
        b"<ul>" + b"<li>x" * 5000 + b"</ul>",
        b"<script>" + b"'<div>'" * 5000 + b"</script>",
        b"<script>" + b"'<div>'" * 5000,
        b"<!--" + b"<div>" * 5000,
        b"<textarea>" + b"<div>" * 5000 + b"</textareax></textarea >",
        b'<p class="' + b"a " * 5000 + b'">',
        b"a < b </3 <!doctype html> <? x ?>" * 1000,
    ],
)
def test_ordinary(html: bytes) -> None:
    """Long ordinary pages pass: elements that close each other, scripts, comments, long attribute values."""
    check_page(html)


@pytest.mark.parametrize(
    "piece", [b"<div>", b"<p a=", b"<p a='", b"<!--", b"<script>", b"<p a ", b"</", b"<a\x00/=", b'="']
)
def test_linear(piece: bytes) -> None:
    """Two megabytes of anything are scanned or refused quickly: no input makes the scan quadratic."""
    html = piece * (MAX_BYTES // len(piece))
    started = time.process_time()
    with contextlib.suppress(PickError):
        check_page(html)
    assert time.process_time() - started < 5


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([b"<div>", b"</div>", b"<b>", b"</b>", b"<svg>", b"</svg>", b"<table><td>", b"x"])))
def test_never_fails(pieces: list[bytes]) -> None:
    """Whatever the markup, an element that is there is found."""
    assert pick_element(b"<p id=x>y</p>" + b"".join(pieces), "#x") == b'<p id="x">y</p>'
