"""In and out of SVG and MathML."""

import pytest

from hydra_asgi.core.html.foreign_content import ForeignContent


@pytest.mark.parametrize(
    ("tags", "foreign"),
    [
        ("", False),
        ("div", False),
        ("svg", True),
        ("math", True),
        ("svg/", False),
        ("svg g", True),
        ("svg -svg", False),
        ("svg svg -svg", True),
        ("svg svg -svg -svg", False),
        ("svg foreignobject", False),
        ("svg foreignobject -foreignobject", True),
        ("svg foreignobject/", True),
        ("svg title -svg", False),
        ("svg foreignobject svg", True),
        ("math mi", False),
        ("svg mi", True),
        ("math svg", True),
        ("math svg mi", False),
        ("svg div", False),
        ("svg -p", False),
        ("svg -b", True),
        ("svg foreignobject -p", False),
        ("-svg", False),
    ],
)
def test_tags_lead_in_and_out(tags: str, foreign: bool) -> None:
    """Only the names that matter change the place; self-closing ones, and unknown ends, do not."""
    content = ForeignContent()
    for tag in tags.encode().split():
        if tag.startswith(b"-"):
            content.closed(tag[1:])
        else:
            content.opened(tag.rstrip(b"/"), self_closing=tag.endswith(b"/"))
    assert bool(content) is foreign


def test_depth_is_bounded() -> None:
    """A page cannot make it grow."""
    content = ForeignContent()
    for _ in range(1000):
        content.opened(b"svg", self_closing=False)
    assert len(content.path) == 64
