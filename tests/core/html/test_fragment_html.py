"""What is changed in the HTML of an unmodified Medusa."""

import time

import pytest

from hydra_asgi.core.html.fragment_html import prefix_assets, strip_placeholders

PLACEHOLDER = "$#FRGM-" + "aB3+" * 15


def test_placeholders_are_removed() -> None:
    """A placeholder of a nested fragment, which nobody would fill, does not reach the page."""
    assert strip_placeholders(f"<p>{PLACEHOLDER}</p>{PLACEHOLDER}") == "<p></p>"


@pytest.mark.parametrize("text", ["$#FRGM-short", "no placeholder", "$#FRGM-" + "/" * 60])
def test_other_text_is_kept(text: str) -> None:
    """Only text of exactly the placeholder's form is removed."""
    assert strip_placeholders(text) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<img src="/css/two.css">', '<img src="/7/css/two.css">'),
        ('<img src="css/two.css">', '<img src="/7/css/two.css">'),
        ("<link rel=x HREF = '/css/two.css'>", "<link rel=x HREF = '/7/css/two.css'>"),
        ('<img alt=""src="/css/two.css"/>', '<img alt=""src="/7/css/two.css"/>'),
        ('<img src="/a b.png">', '<img src="/7/a b.png">'),
    ],
)
def test_own_files_get_the_token(before: str, after: str) -> None:
    """A URL that equals a resource of the rendering instance is asked for at that instance."""
    assert prefix_assets(before, 7, {"css/two.css", "a b.png", "css/"}) == after


@pytest.mark.parametrize(
    "html",
    [
        '<img src="/css/one.css">',
        '<a href="/css/">folder</a>',
        '<img src="//css/two.css">',
        '<img src="/css/two.css?v=1">',
        '<img src="https://elsewhere/css/two.css">',
        '<img data-src="/css/two.css">',
        '<use xlink:href="/css/two.css"/>',
        "<img src=\"/css/two.css'>",
        "<img src=/css/two.css>",
        "<p>/css/two.css</p>",
    ],
)
def test_other_urls_are_kept(html: str) -> None:
    """Nothing but a quoted `src` or `href` that equals a file is touched."""
    assert prefix_assets(html, 7, {"css/two.css", "css/"}) == html


def test_hostile_html_stays_linear() -> None:
    """Two megabytes of unclosed quotes cost well under a second."""
    started = time.process_time()
    prefix_assets(' src="' * 350_000, 7, {"x"})
    prefix_assets(' src="' + " src =" * 350_000, 7, {"x"})
    assert time.process_time() - started < 2
