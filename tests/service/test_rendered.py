import gzip
from dataclasses import dataclass, field

import pytest
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse

from hydra_asgi.core.fragment import FragmentCause
from hydra_asgi.service.rendered import NotRenderedError, html_of_response, html_of_result

HTML = (b"content-type", b"text/html; charset=utf-8")
LIMIT = 1000


def cause(status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"x") -> FragmentCause:
    with pytest.raises(NotRenderedError) as caught:
        html_of_response(status, headers, body, LIMIT)
    assert caught.value.detail
    return caught.value.cause


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (b"text/html", "é".encode()),
        (b"text/html; charset=utf-8", "é".encode()),
        (b'TEXT/HTML;charset="UTF-8"', "é".encode()),
        (b"text/html; charset=iso-8859-1", b"\xe9"),
        (b"application/xhtml+xml; charset=utf-16", "é".encode("utf-16")),
        (b"text/html", b"\xef\xbb\xbf" + "é".encode()),
    ],
)
def test_text(content_type: bytes, body: bytes) -> None:
    """HTML is read in its declared charset, else as UTF-8, without a byte order mark."""
    assert html_of_response(200, [(b"content-type", content_type)], body, LIMIT) == "é"


def test_broken_utf8() -> None:
    """Bytes that are no UTF-8 become replacement characters; the rest of the fragment is shown."""
    assert html_of_response(200, [HTML], b"a\xffb", LIMIT) == "a\ufffdb"


def test_first_field_counts() -> None:
    """Of two content types the first counts."""
    assert html_of_response(200, [HTML, (b"content-type", b"text/plain")], b"a", LIMIT) == "a"


@pytest.mark.parametrize("charset", [b"nope", b"utf-7", b"zip", b"idna", b"unicode_escape", b"undefined"])
def test_unknown_charset(charset: bytes) -> None:
    """A charset that no browser knows is no text."""
    assert cause(200, [(b"content-type", b"text/html; charset=" + charset)]) is FragmentCause.BROKEN


def test_redirect() -> None:
    """A redirect is never followed."""
    assert cause(302, [HTML, (b"location", b"http://169.254.169.254/")]) is FragmentCause.REDIRECT
    assert cause(304, []) is FragmentCause.REDIRECT


@pytest.mark.parametrize("status", [0, 201, 204, 404, 500])
def test_status(status: int) -> None:
    """Only 200 is a rendered fragment."""
    assert cause(status, [HTML]) is FragmentCause.STATUS


@pytest.mark.parametrize("headers", [[], [(b"content-type", b"application/json")], [(b"content-type", b"text/htmlx")]])
def test_content_type(headers: list[tuple[bytes, bytes]]) -> None:
    """Only HTML is a fragment; a missing type is not guessed."""
    assert cause(200, headers) is FragmentCause.CONTENT_TYPE


def test_gzip() -> None:
    """A body that comes compressed is decompressed."""
    headers = [HTML, (b"content-encoding", b"GZIP")]
    assert html_of_response(200, headers, gzip.compress(b"abc"), LIMIT) == "abc"


@pytest.mark.parametrize(
    ("coding", "body", "expected"),
    [
        (b"gzip", gzip.compress(b"a" * 1001), FragmentCause.TOO_LARGE),
        (b"gzip", gzip.compress(b"abc")[:-6], FragmentCause.BROKEN),
        (b"gzip", b"abc", FragmentCause.BROKEN),
        (b"br", b"abc", FragmentCause.BROKEN),
    ],
)
def test_bad_coding(coding: bytes, body: bytes, expected: FragmentCause) -> None:
    """A bomb, a cut body, garbage and an unknown coding are told apart."""
    assert cause(200, [HTML, (b"content-encoding", coding)], body) is expected


@dataclass
class Plain:
    body: object
    status_code: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@pytest.mark.parametrize("result", ["é", "é".encode(), HTMLResponse("é"), Plain("é".encode())])
def test_results(result: object) -> None:
    """A plain function may return text, UTF-8 bytes or a response."""
    assert html_of_result(result, LIMIT) == "é"


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (None, FragmentCause.CONTENT_TYPE),
        (7, FragmentCause.CONTENT_TYPE),
        (Plain("text"), FragmentCause.CONTENT_TYPE),
        (JSONResponse({}), FragmentCause.CONTENT_TYPE),
        (HTMLResponse("", 404), FragmentCause.STATUS),
        (RedirectResponse("/"), FragmentCause.REDIRECT),
        ("x" * 1001, FragmentCause.TOO_LARGE),
        (b"x" * 1001, FragmentCause.TOO_LARGE),
        (HTMLResponse("x" * 1001), FragmentCause.TOO_LARGE),
    ],
)
def test_bad_results(result: object, expected: FragmentCause) -> None:
    """Anything else, and a response that says no, is no fragment."""
    with pytest.raises(NotRenderedError) as caught:
        html_of_result(result, LIMIT)
    assert caught.value.cause is expected
