"""What may be sent on the first line of a request."""

import pytest

from hydra_asgi.core.routing.request_target import is_request_target


@pytest.mark.parametrize("target", [b"/", b"/a/b;c=1?x=%zz&&y", b"//evil/x", b"/a?b?c", b'/"<>|'])
def test_a_path_and_query_in_visible_bytes_may_be_sent(target: bytes) -> None:
    """Everything that browsers send passes as it is."""
    assert is_request_target(target)


@pytest.mark.parametrize(
    "target", [b"", b"*", b"a", b"http://x/", b"/a b", b"/a\r\nx: y", b"/\x00", b"/\xc3\xa4", b"/#a"]
)
def test_what_would_end_or_confuse_the_line_may_not(target: bytes) -> None:
    """Other forms, blanks, controls, raw bytes and fragments are no target."""
    assert not is_request_target(target)
