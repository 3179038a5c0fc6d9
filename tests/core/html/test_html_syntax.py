"""The grammar of tags as patterns."""

import re

import pytest

from hydra_asgi.core.html.html_grammar import grammar_for
from hydra_asgi.core.html.html_syntax import ATTRIBUTES, any_of, ordinary_markup, plain_element, start_of


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        (b" a b=c d='e>' f=\"g'\" >", 20),
        (b" a", 0),
        (b" a ", 0),
        (b" a=", 0),
        (b" a=b", 0),
        (b" a=b>", 4),
        (b" a= >", 4),
        (b" a='b", 0),
        (b"/a/b/>", 4),
        (b" =a=b ", 5),
        (b" a>", 2),
        (b"\x0ba b", 2),
    ],
)
def test_only_whole_attributes_are_taken(text: bytes, taken: int) -> None:
    """An attribute is taken when nothing that follows can change it."""
    found = re.compile(ATTRIBUTES.encode()).match(text)
    assert found is not None
    assert found.end() == taken


def test_names_match_in_any_case() -> None:
    """Any of the names, in any case, and nothing else."""
    pattern = re.compile(any_of([b"title", b"td", b"m:x", b"t"]).encode())
    for name in (b"TITLE", b"Td", b"m:X", b"t"):
        assert pattern.fullmatch(name)
    for name in (b"titl", b"m-x", b"x"):
        assert not pattern.fullmatch(name)


@pytest.mark.parametrize(
    ("text", "taken"),
    [(b"a<b c='<'>d</b>e<i", 16), (b"<title>", 0), (b"<titles></title>", 8), (b"<!--", 0), (b"< ", 0), (b"<b a='>", 0)],
)
def test_ordinary_markup_ends_at_what_is_special(text: bytes, taken: int) -> None:
    """Text and whole tags of other elements pass in one go."""
    found = ordinary_markup([b"title"]).match(text)
    assert found is not None
    assert found.end() == taken


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        (b" a=b>text</X >", (b" a=b", b"text")),
        (b"></x>", (b"", b"")),
        (b"/></x>", None),
        (b"><b></x>", None),
        (b">a</y>", None),
        (b">a</x a>", None),
    ],
)
def test_a_plain_element_is_all_there(text: bytes, groups: tuple[bytes, bytes] | None) -> None:
    """Start tag, text and end tag, and nothing unusual among them."""
    found = plain_element(b"x").match(text)
    assert (found.groups() if found else None) == groups


def test_a_grammar_is_made_once() -> None:
    """What depends on the name alone is shared by all pages."""
    assert grammar_for(b"x") is grammar_for(b"x")
    assert b"scri" in grammar_for(b"x").prefixes


def test_the_start_of_a_tag_is_its_whole_name() -> None:
    """A start tag begins where the name, in any case, has ended; longer names and end tags are others."""
    pattern = start_of(b"m:x")
    for text in (b"<m:x>", b"<M:X ", b"<m:X/", b"<m:x\n"):
        assert pattern.match(text)
    for text in (b"<m:x", b"<m:xy>", b"</m:x>", b"< m:x>", b"<m:x\x0b>"):
        assert pattern.match(text) is None
