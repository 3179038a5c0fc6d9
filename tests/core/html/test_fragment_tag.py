"""Reading the attributes of a fragment tag."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.binding import Binding
from hydra_asgi.core.html.fragment_tag import MAX_ATTRIBUTES, parse_fragment_tag
from tests.pace import at_usual_pace


def test_service_and_ref_are_read() -> None:
    """A tag names a service and one of its fragments."""
    tag = parse_fragment_tag(b' service="orders" ref="checkout" ')
    assert (tag.service, tag.ref, tag.problem, tag.warnings) == ("orders", "checkout", None, ())
    assert (tag.imports, tag.exports, tag.timeout) == ((), (), None)


@pytest.mark.parametrize(
    "attributes",
    [
        b' SERVICE="orders" Ref="a"',
        b" service='orders' ref='a'",
        b" service=orders ref=a",
        b' service = "orders"\n\tref\f=\r"a"/',
    ],
)
def test_every_html_spelling_is_understood(attributes: bytes) -> None:
    """Names come in any case, values in either quote or bare, with white space around the equals sign."""
    tag = parse_fragment_tag(attributes)
    assert (tag.service, tag.ref, tag.problem) == ("orders", "a", None)


@pytest.mark.parametrize(
    "attributes", [b' ref="a"', b' service ref="a"', b' service="" ref="a"', b' service=" self " ref="a"']
)
def test_no_service_means_the_own_one(attributes: bytes) -> None:
    """A missing, empty or `self` service is the app that owns the page."""
    tag = parse_fragment_tag(attributes)
    assert (tag.service, tag.problem) == ("", None)


def test_the_first_of_two_equal_attributes_wins() -> None:
    """A duplicate attribute is ignored, as in a browser, and its author is warned."""
    tag = parse_fragment_tag(b' ref="a" REF="b" service=x')
    assert (tag.ref, tag.service, tag.problem) == ("a", "x", None)
    assert tag.warnings == ("attribute 'ref' appears twice, the first one counts",)


def test_character_references_are_decoded() -> None:
    """Values are HTML text, so `&#x2f;` is a slash; without an ampersand nothing is looked up."""
    assert parse_fragment_tag(b' ref="a&#x2f;b" service="o&#114;ders"').ref == "a/b"


def test_a_bare_value_keeps_its_slash_and_warns() -> None:
    """`ref=a/` is the value `a/`: the slash of an unquoted value does not close the tag."""
    tag = parse_fragment_tag(b" service=s ref=a/")
    assert (tag.ref, tag.problem) == ("a/", None)
    assert "put it in quotes" in tag.warnings[0]


@pytest.mark.parametrize(
    "name", ["1a", "a:b", "*", "../x", "a" * 64, "a b", "a\x00", "\u202ea", "\u0430pp", "a\r\nb", "-a", "http://x"]
)
def test_a_bad_service_name_is_a_problem(name: str) -> None:
    """A service's name is a letter and up to 62 letters, digits or '._~-'; nothing else reaches the directory."""
    tag = parse_fragment_tag(f' ref=a service="{name}"'.encode())
    assert tag.problem is not None
    assert tag.problem.startswith("service ")


@pytest.mark.parametrize("attributes", [b"", b" service=s", b' ref=""', b' ref=" "', b" ref"])
def test_a_tag_without_ref_is_a_problem(attributes: bytes) -> None:
    """Without a ref nothing can be asked for."""
    problem = parse_fragment_tag(attributes).problem
    assert problem is not None
    assert "no ref" in problem


@pytest.mark.parametrize("ref", [b"a b", b"a\x00", b"<a>", b"a" * 129, b"\xff", b"a?b"])
def test_a_bad_ref_is_a_problem(ref: bytes) -> None:
    """A ref is up to 128 letters, digits and '._~:/-'."""
    tag = parse_fragment_tag(b' service=s ref="%s"' % ref)
    assert tag.problem is not None
    assert tag.problem.startswith("ref ")
    assert tag.service == "s"


def test_bindings_are_read() -> None:
    """Imports and exports are lists of names with optional aliases."""
    tag = parse_fragment_tag(b' ref=a imports="dob, countryOrigin as country" exports="zip"')
    assert tag.imports == (Binding("dob", "dob"), Binding("countryOrigin", "country"))
    assert tag.exports == (Binding("zip", "zip"),)


@pytest.mark.parametrize("name", ["imports", "exports"])
def test_bad_bindings_are_a_problem(name: str) -> None:
    """A list that cannot be read names itself in the problem."""
    problem = parse_fragment_tag(f' ref=a {name}="a as"'.encode()).problem
    assert problem is not None
    assert problem.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("0.5s", 0.5), ("500", 0.5), (" 2s ", 2.0), ("1.5ms", 0.0015)]
)
def test_a_timeout_is_read(text: str, seconds: float) -> None:
    """A timeout is milliseconds unless it says seconds."""
    assert parse_fragment_tag(f' ref=a timeout="{text}"'.encode()).timeout == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "0", "0s", "-1", "1m", "nan", "inf", "1e3", "9" * 10, "\u0665", "1 s"])
def test_a_bad_timeout_is_a_problem(text: str) -> None:
    """What is not a positive time in digits cannot be kept."""
    problem = parse_fragment_tag(f' ref=a timeout="{text}"'.encode()).problem
    assert problem is not None
    assert problem.startswith("timeout ")


def test_unknown_attributes_are_ignored() -> None:
    """Attributes we do not know are no reason to refuse a tag."""
    assert parse_fragment_tag(b' id=x class="a b" ref=a import="q"').problem is None


def test_too_many_attributes_are_a_problem() -> None:
    """The number of attributes is bounded, and refused in time that grows with the bytes only."""
    allowed = b" ref=a" + b"".join(b" a%d" % number for number in range(MAX_ATTRIBUTES - 1))
    assert parse_fragment_tag(allowed).problem is None
    started = time.process_time()
    problem = parse_fragment_tag(allowed + b" b=c" * 40_000).problem
    taken = time.process_time() - started
    assert taken < at_usual_pace(0.2)
    assert problem is not None
    assert "more than 64" in problem


@given(st.binary(max_size=200) | st.text(alphabet="ab='\"&;/ <>\tref", max_size=80).map(str.encode))
def test_nothing_makes_it_raise(attributes: bytes) -> None:
    """Whatever the bytes, the result is a tag that can be used or says why not."""
    tag = parse_fragment_tag(attributes)
    assert tag.problem is not None or tag.ref
    assert len(tag.problem or "") < 300
