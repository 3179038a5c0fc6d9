"""Skipping what is tame."""

import pytest

from hydra_asgi.core.html.html_fast_path import FastPath

FAST = FastPath.stopping_at(b"m:x", [b"script", b"svg"])


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"text",
        b"<p>a</p>",
        b"<a b=c d='e' f=\"g\">h > i, don't</a>",
        b'<a b="it\'s">',
        b"</ a></>",
        b"x" * 20_000,
        b"<p>" * 9_000,
    ],
)
def test_tame_content_is_skipped(page: bytes) -> None:
    """Ordinary markup is passed over up to the tag that may go on behind the buffer."""
    position, again = FAST.skip(page, 0, len(page))
    assert position == max(page.rfind(b"<"), 0) if b"<" in page else position == len(page)
    assert again in (position, position + 1)


@pytest.mark.parametrize("special", [b"<!--", b"<?", b"<SCRIPT>", b"<svg", b"<M:X>", b"</m:x>"])
def test_special_tags_stop_it(special: bytes) -> None:
    """Comments, declarations and names that matter are left to the exact way."""
    assert FAST.skip(b"<p>a" + special + b"<p>", 0, 100) == (4, 5)
    assert FAST.skip(special + b"<p>", 0, 100) == (0, 1)


@pytest.mark.parametrize(
    "page",
    [b'<a b="x>y"><p>', b"<a b = 'x>y'><p>", b"<a b='<'><p>", b'<a b="<script>">', b"<a b='\">'><p>", b"a < b <p>"],
)
def test_doubt_stops_it(page: bytes) -> None:
    """Where a bracket may stand inside a value, nothing is skipped."""
    position, again = FAST.skip(page, 0, len(page))
    assert position == 0
    assert again > 1


@pytest.mark.parametrize(
    "comment", [b"<!-->", b"<!--->", b"<!---->", b"<!----->", b"<!--a--!>", b"<!---!>-->", b"<!--!>-->"]
)
def test_whole_comments_are_skipped(comment: bytes) -> None:
    """A comment whose end is there changes nothing."""
    page = comment + b"<p>" + comment + b"a"
    assert FAST.skip(page, 0, len(page)) == (len(page), len(page))


def test_one_odd_place_costs_one_window() -> None:
    """Behind a window with an odd place the next one is judged anew."""
    page = b"<p>" * 1000 + b"<a b='>'>" + b"<p>" * 9000
    position, again = FAST.skip(page, 0, len(page))
    assert position == 0
    assert again <= 8192
    assert FAST.skip(page, again - 1, len(page))[0] == len(page) - 3
