"""Whether a whole page holds a tag."""

import gzip

import pytest

from hydra_asgi.core.fragments.tag_search import has_tag

TAG = b'<m:fragment service="s" ref="r">x</m:fragment>'


@pytest.mark.parametrize(
    ("page", "holds"),
    [
        (TAG, True),
        (b"a" * 16380 + TAG, True),
        (TAG.replace(b"m:fragment", b"M:FRAGMENT"), True),
        (b"", False),
        (b"a page", False),
        (b"<!-- " + TAG + b" -->", False),
        (b"x:fragment in words", False),
    ],
)
def test_a_tag_is_found_where_it_is_one(page: bytes, holds: bool) -> None:
    """Across the border of what is looked at together, in any case, and not in a comment or in text."""
    assert has_tag(page) is holds
    assert has_tag(gzip.compress(page), is_gzip=True) is holds


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b"a" * 100_000)[:40]])
def test_what_is_corrupt_holds_none(body: bytes) -> None:
    """Nothing can be read there, so nothing can be filled."""
    assert has_tag(body, is_gzip=True) is False
