"""Our path template syntax."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.routing.template import (
    MAX_CHARACTERS,
    MAX_PARAMETERS,
    MAX_SEGMENTS,
    Segment,
    SegmentKind,
    parse_template,
)
from hydra_asgi.errors import TemplateError


def test_a_template_is_a_list_of_whole_segments() -> None:
    """Every kind of segment is read with its text or name."""
    template = parse_template("/items/{id}/{n:int}/{f:float}/{u:uuid}/{rest:path}")
    assert template.segments == (
        Segment(SegmentKind.LITERAL, "items"),
        Segment(SegmentKind.PARAMETER, "id"),
        Segment(SegmentKind.INT, "n"),
        Segment(SegmentKind.FLOAT, "f"),
        Segment(SegmentKind.UUID, "u"),
        Segment(SegmentKind.REST, "rest"),
    )


def test_a_trailing_slash_is_an_empty_last_segment() -> None:
    """`/a/` is not `/a`, and `/` is one empty segment."""
    assert parse_template("/").segments == (Segment(SegmentKind.LITERAL, ""),)
    assert parse_template("/a/").segments == (Segment(SegmentKind.LITERAL, "a"), Segment(SegmentKind.LITERAL, ""))
    assert parse_template("/a").segments == (Segment(SegmentKind.LITERAL, "a"),)


@pytest.mark.parametrize(
    "text", ["/straße/日本", "/a b", "/a:b,c;d=e", "/100%", "/a*b", "/...", "/.well-known/x", "/a.b/..c", "/(x)|[y]"]
)
def test_literals_are_plain_decoded_text(text: str) -> None:
    """Any text without a meaning of its own is a literal, and the canonical text is what was written."""
    template = parse_template(text)
    assert [segment.kind for segment in template.segments] == [SegmentKind.LITERAL] * text.count("/")
    assert template.text == str(template) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "start with '/'"),
        ("items", "start with '/'"),
        ("/{a}{b}", "mixes text and parameters"),
        ("/x{a}", "mixes text and parameters"),
        ("/{a}.json", "mixes text and parameters"),
        ("/{}", "mixes text and parameters"),
        ("/{a", "mixes text and parameters"),
        ("/a}", "mixes text and parameters"),
        ("/{1a}", "mixes text and parameters"),
        ("/{a-b}", "mixes text and parameters"),
        ("/{*a}", "mixes text and parameters"),
        ("/{a:[0-9]{2}}", "mixes text and parameters"),
        ("/{%s}" % ("a" * 65), "mixes text and parameters"),
        ("/{a:(x+)+}", "unknown type"),
        ("/{a:str}", "unknown type"),
        ("/{a:}", "unknown type"),
        ("/{a}/{a:int}", "'a' appears twice"),
        ("/{p:path}/x", "has to be the last"),
        ("/{p:path}/", "has to be the last"),
        ("//", "empty segment"),
        ("//a", "empty segment"),
        ("/a//b", "empty segment"),
        ("/a/../b", "dot segment"),
        ("/.", "dot segment"),
        ("/..;x/b", "dot segment"),
        ("/a?b", "may not stand"),
        ("/a#b", "may not stand"),
        ("/a\\b", "may not stand"),
        ("/a\x00b", "may not stand"),
        ("/a\nb", "may not stand"),
        ("/a\x85b", "may not stand"),
        ("/a\ud800b", "may not stand"),
        ("/{a:\\d+}", "may not stand"),
        ("/a" * (MAX_SEGMENTS + 1), "at most 64"),
        ("/" + "a" * MAX_CHARACTERS, "at most 2048"),
        ("".join(f"/{{a{number}}}" for number in range(MAX_PARAMETERS + 1)), "at most 16"),
    ],
)
def test_what_no_route_may_be_is_refused(text: str, reason: str) -> None:
    """A refusal names the template and the reason, and stays short."""
    with pytest.raises(TemplateError, match=reason) as caught:
        parse_template(text)
    assert repr(text[:80]) in str(caught.value)
    assert len(str(caught.value)) < 900


def test_the_limits_themselves_are_allowed() -> None:
    """The largest template of each kind is taken."""
    assert len(parse_template("/a" * MAX_SEGMENTS).segments) == MAX_SEGMENTS
    assert parse_template("/" + "a" * (MAX_CHARACTERS - 1)).segments[0].text == "a" * (MAX_CHARACTERS - 1)
    assert len(parse_template("".join(f"/{{a{n}}}" for n in range(MAX_PARAMETERS))).segments) == MAX_PARAMETERS


@given(st.text("/{}:ab.;?*\\# ", max_size=20).map(lambda tail: "/" + tail))
def test_reading_ends_in_a_template_or_a_template_error(text: str) -> None:
    """Whatever a peer registers, a template has one segment for each slash and at most one rest, at its end."""
    try:
        template = parse_template(text)
    except TemplateError:
        return
    assert len(template.segments) == text.count("/")
    assert all(segment.kind is not SegmentKind.REST for segment in template.segments[:-1])
    assert all(segment.text for segment in template.segments[:-1])
