"""The tree behind the route table."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.routing.route_tree import Fresh, Node
from hydra_asgi.core.routing.template import SegmentKind, parse_template


def tree(*templates: str) -> Node[str]:
    """A tree whose leaves are the templates themselves, the first of several with one shape."""
    root: Node[str] = Node()
    for template in templates:
        node = root.reach(parse_template(template).segments)
        node.leaf = node.leaf or template
    return root


def walk(root: Node[str], path: str) -> list[str]:
    """The templates that match a path, the best first."""
    return list(root.walk(tuple(path[1:].split("/"))))


def test_the_most_specific_way_comes_first() -> None:
    """Literal, int, float, uuid, parameter, rest; whatever the order in which they came."""
    templates = ["/{r:path}", "/{x}", "/{u:uuid}", "/{n:int}", "/{f:float}", "/12345678123456781234567812345678"]
    root = tree(*templates)
    assert walk(root, "/12345678123456781234567812345678") == [
        "/12345678123456781234567812345678",
        "/{n:int}",
        "/{f:float}",
        "/{u:uuid}",
        "/{x}",
        "/{r:path}",
    ]


def test_an_earlier_segment_weighs_more() -> None:
    """Precedence is decided segment by segment from the left; a longer prefix comes before a shorter one."""
    root = tree("/{r:path}", "/{x}/b", "/a/{x}", "/a/{r:path}", "/a/b/{r:path}")
    assert walk(root, "/a/b") == ["/a/{x}", "/a/{r:path}", "/{x}/b", "/{r:path}"]
    assert walk(root, "/a/b/c") == ["/a/b/{r:path}", "/a/{r:path}", "/{r:path}"]


@pytest.mark.parametrize(
    ("template", "fitting", "others"),
    [
        ("/{x}", ["/a", "/ä", "/1"], ["/", "/a/", "/a/b"]),
        ("/{n:int}", ["/0", "/007"], ["/", "/-1", "/+1", "/1.0", "/\u0661", "/1_0", "/ 1", "/1\n", "/x"]),
        ("/{f:float}", ["/0", "/1.50"], ["/", "/.5", "/1.", "/-1.0", "/1e3", "/nan", "/\u0661.\u0662"]),
        (
            "/{u:uuid}",
            ["/00000000-0000-0000-0000-00000000000A", "/0000000000000000000000000000000a"],
            ["/", "/00000000-0000-0000-0000-00000000000", "/g0000000-0000-0000-0000-000000000000"],
        ),
        (
            "/files/{r:path}",
            ["/files/", "/files/a", "/files/a/b/", "/files//a", "/files///"],
            ["/files", "/filesa", "/"],
        ),
        ("/{r:path}", ["/", "/a", "/a/b/"], []),
        ("/a/", ["/a/"], ["/a", "/a//", "/"]),
        ("/api", ["/api"], ["/apikeys", "/api/", "/API"]),
        ("/", ["/"], ["/a"]),
    ],
)
def test_a_segment_fits_or_does_not(template: str, fitting: list[str], others: list[str]) -> None:
    """Typed parameters check, parameters need text, only a rest takes empty segments, borders are kept."""
    root = tree(template)
    assert [path for path in fitting if walk(root, path) != [template]] == []
    assert [path for path in others if walk(root, path)] == []


def test_names_of_parameters_make_no_difference() -> None:
    """`/a/{x}` and `/a/{y}` are one node, `/a/{y:int}` is another."""
    root: Node[str] = Node()
    one, same = (root.reach(parse_template(text).segments) for text in ("/a/{x}/b", "/a/{y}/b"))
    typed, typed_again = (root.reach(parse_template(text).segments) for text in ("/a/{x:int}/b", "/a/{y:int}/b"))
    rest, rest_again = (root.reach(parse_template(text).segments) for text in ("/a/{x:path}", "/a/{y:path}"))
    assert one is same
    assert typed is typed_again
    assert rest is rest_again
    assert len({one, typed, rest}) == 3


def test_a_node_is_found_without_being_made() -> None:
    """Every kind of segment leads to its node, and nowhere where there is none."""
    root: Node[str] = Node()
    templates = ["/a/{x}/b", "/a/{n:int}", "/a/{n:float}/c", "/{u:uuid}", "/{r:path}"]
    nodes = [root.reach(parse_template(text).segments) for text in templates]
    assert [root.find(parse_template(text).segments) for text in templates] == nodes
    for text in ("/b/c", "/a/{u:uuid}", "/a/{r:path}", "/a/{x}/b/c/d", "/{x}"):
        assert root.find(parse_template(text).segments) is None


def test_a_copy_is_changed_and_the_tree_before_is_not() -> None:
    """Nodes on the way are copied once, all others are shared."""
    before = tree("/a/{x}/b", "/a/{n:int}", "/{r:path}", "/c/d")
    after = before.copy()
    fresh: Fresh = {after}
    after.reach(parse_template("/a/{y}/b").segments, fresh).leaf = "new"
    after.reach(parse_template("/a/{y}/e").segments, fresh).leaf = "more"
    assert len(fresh) == 5
    assert (walk(after, "/a/1/b"), walk(before, "/a/1/b")) == (["new", "/{r:path}"], ["/a/{x}/b", "/{r:path}"])
    assert (walk(after, "/a/1/e"), walk(before, "/a/1/e")) == (["more", "/{r:path}"], ["/{r:path}"])
    shared = parse_template("/c/d").segments
    assert after.find(shared) is before.find(shared)


def test_a_path_that_is_too_short_or_nothing_finds_nothing() -> None:
    """Inner nodes hold no leaf."""
    assert walk(tree("/a/b"), "/a") == []
    assert list(tree("/a").walk(())) == []


def test_each_node_is_visited_once() -> None:
    """Even where every segment branches, no leaf comes twice and none is lost."""
    templates = ["/" + "/".join(choice) for choice in product(("a", "{x}"), repeat=6)]
    distinct = [
        "/".join(piece if piece != "{x}" else f"{{x{index}}}" for index, piece in enumerate(template.split("/")))
        for template in templates
    ]
    found = walk(tree(*distinct), "/a/a/a/a/a/a")
    assert len(found) == len(set(found)) == 64


_PIECES = st.sampled_from(["a", "b", "1", "{x}", "{x:int}", "{x:float}"])
_TEMPLATES = st.tuples(st.lists(_PIECES, max_size=3), st.sampled_from(["a", "", "{r:path}", "{x}"])).map(
    lambda parts: "/" + "/".join([*(piece.replace("x", f"x{index}") for index, piece in enumerate(parts[0])), parts[1]])
)


def fits(template: str, segments: list[str]) -> bool:
    """The rules once more, as simply as they can be written."""
    parts = parse_template(template).segments
    if parts[-1].kind is SegmentKind.REST:
        if len(segments) < len(parts):
            return False
        parts = parts[:-1]
    elif len(segments) != len(parts):
        return False
    for part, segment in zip(parts, segments, strict=False):
        if part.kind is SegmentKind.LITERAL and segment != part.text:
            return False
        if part.kind is SegmentKind.PARAMETER and not segment:
            return False
        if part.kind is SegmentKind.INT and not segment.isdecimal():
            return False
        if part.kind is SegmentKind.FLOAT and not segment.replace(".", "", 1).isdecimal():
            return False
    return True


@given(st.lists(_TEMPLATES, max_size=12), st.lists(st.sampled_from(["a", "b", "1", "1.5", ""]), min_size=1, max_size=4))
def test_a_walk_finds_what_fits_in_the_order_of_precedence(templates: list[str], segments: list[str]) -> None:
    """The walk agrees with trying every template and sorting by the kinds of the segments."""
    by_shape: dict[tuple[tuple[int, str], ...], str] = {}
    for template in templates:
        shape = tuple((part.kind, "" if part.kind else part.text) for part in parse_template(template).segments)
        by_shape.setdefault(shape, template)
    expected = [template for shape, template in sorted(by_shape.items(), key=lambda one: [part[0] for part in one[0]])
                if fits(template, segments)]  # fmt: skip
    assert list(tree(*templates).walk(segments)) == expected
