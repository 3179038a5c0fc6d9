"""Splitting and refusing the paths of requests."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.routing.raw_path import MAX_BYTES, PathError, split_raw_path
from hydra_asgi.errors import HydraError


@pytest.mark.parametrize(
    ("raw", "segments"),
    [
        (b"/", ("",)),
        (b"/a/b", ("a", "b")),
        (b"/a/", ("a", "")),
        (b"//x", ("", "x")),
        (b"/a%2Fb/c", ("a/b", "c")),
        (b"/stra%C3%9Fe", ("straße",)),
        (b"/a%20b", ("a b",)),
        (b"/a%3Fb%23c", ("a?b#c",)),
        (b"/%252e%252e/x", ("%2e%2e", "x")),
        (b"/a;v=1/b", ("a;v=1", "b")),
        (b"/.well-known/x", (".well-known", "x")),
        (b"/...", ("...",)),
        (b"/a..b/..c/d..", ("a..b", "..c", "d..")),
        (b"/a%5Cb", ("a\\b",)),
        (b'/{x}|"<>^`', ('{x}|"<>^`',)),
        (b"/caf%E9", ("caf%E9",)),
        (b"/%c0%ae%c0%ae/x", ("%c0%ae%c0%ae", "x")),
        (b"/a%25zz", ("a%zz",)),
    ],
)
def test_a_path_is_split_before_it_is_decoded(raw: bytes, segments: tuple[str, ...]) -> None:
    """An escaped slash stays in its segment, escapes are decoded once, and what is no UTF-8 keeps its escapes."""
    assert split_raw_path(raw) == segments


@pytest.mark.parametrize(
    "raw",
    [
        b"/svc/../admin", b"/..", b"/.", b"/./a", b"/%2e%2e/a", b"/.%2e/a", b"/%2E./a", b"/%2e", b"/a/..;/b",
        b"/a/..;x=1/b", b"/.;x", b"/%2e%2e%3bx", b"/..%2fadmin", b"/..%2Fadmin", b"/x%2f..%2fadmin", b"/x%2f..",
        b"/%5c..", b"/..%5cadmin", b"/a%5C..%5Cb", b"/%2e%2e%5cx", b"/%ff%2f..",
    ],
)  # fmt: skip
def test_dot_segments_are_refused_in_every_spelling(raw: bytes) -> None:
    """What any server behind us might resolve as a dot segment never gets there."""
    with pytest.raises(PathError, match="dot segment") as caught:
        split_raw_path(raw)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "does not start"),
        (b"*", "does not start"),
        (b"a/b", "does not start"),
        (b"http://evil/x", "does not start"),
        (b"/a b", "has to be escaped"),
        (b"/a\x00", "has to be escaped"),
        (b"/a\r\nb", "has to be escaped"),
        (b"/a\x7f", "has to be escaped"),
        (b"/a#b", "has to be escaped"),
        (b"/a?b", "has to be escaped"),
        (b"/\\evil", "has to be escaped"),
        (b"/..\\x", "has to be escaped"),
        ("/straße".encode(), "has to be escaped"),
        (b"/%00", "control character"),
        (b"/%0d%0aX-Inj:1", "control character"),
        (b"/%1b[0m", "control character"),
        (b"/%7f", "control character"),
        (b"/%ff%0a", "control character"),
        (b"/%c2%85", "control character"),
        (b"/%zz", "hexadecimal"),
        (b"/a%", "hexadecimal"),
        (b"/a%4", "hexadecimal"),
        (b"/%+1", "hexadecimal"),
    ],
)
def test_what_a_path_may_not_hold_is_refused(raw: bytes, reason: str) -> None:
    """Controls, unescaped bytes and broken escapes are 400 and the reason says which."""
    with pytest.raises(PathError, match=reason) as caught:
        split_raw_path(raw)
    assert caught.value.status == 400
    assert caught.value.reason == str(caught.value)
    assert isinstance(caught.value, HydraError)


def test_a_path_that_is_too_long_is_414() -> None:
    """The limit counts bytes on the wire; a path at the limit passes."""
    assert split_raw_path(b"/" + b"a" * (MAX_BYTES - 1)) == ("a" * (MAX_BYTES - 1),)
    with pytest.raises(PathError, match="at most 16384") as caught:
        split_raw_path(b"/" + b"a" * MAX_BYTES)
    assert caught.value.status == 414


_SEGMENTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="./\\"))


@given(st.lists(_SEGMENTS, min_size=1, max_size=6))
def test_quoted_segments_come_back(segments: list[str]) -> None:
    """Whatever text is quoted into segments is what a route sees."""
    raw = "".join(f"/{quote(segment, safe='')}" for segment in segments).encode()
    assert split_raw_path(raw) == tuple(segments)


@given(st.binary(max_size=40).map(lambda tail: b"/" + tail))
def test_what_is_accepted_is_free_of_dots_and_controls(raw: bytes) -> None:
    """No accepted path has a dot segment, a control character, or other segments than its slashes say."""
    try:
        segments = split_raw_path(raw)
    except PathError:
        return
    assert len(segments) == raw.count(b"/")
    assert not any(segment in (".", "..") for segment in segments)
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in "".join(segments))


@given(st.text("./%2eEfF5cC;\\a", max_size=24))
def test_no_spelling_of_a_dot_segment_gets_through(tail: str) -> None:
    """However often slashes and dots are escaped, one decoding never shows a dot segment."""
    try:
        segments = split_raw_path(f"/{tail}".encode())
    except PathError:
        return
    pieces = "/".join(segments).replace("\\", "/").split("/")
    assert not any(piece.partition(";")[0] in (".", "..") for piece in pieces)
