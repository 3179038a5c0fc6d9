"""Links that come before a response."""

import pytest

from hydra_asgi.core.headers.early_links import MAX_LINK_BYTES, MAX_LINKS, early_links

STYLE = b"</a.css>; rel=preload; as=style"


def test_links_are_taken_in_order_and_nothing_else() -> None:
    """Whether other fields of a 103 hold for the response, a client could not know."""
    headers = [
        (b"Link", STYLE),
        (b"content-security-policy", b"default-src *"),
        (b"link", b"</b.js>"),
        (b"LINK", STYLE),
    ]
    assert early_links(headers) == [STYLE, b"</b.js>"]


def test_nothing_is_said_twice() -> None:
    """A second hint, or a second instance, adds only what is new."""
    assert early_links([(b"link", STYLE), (b"link", b"</b.js>")], {STYLE}) == [b"</b.js>"]


@pytest.mark.parametrize("link", [b"", b"</a>\r\nset-cookie: a=1", b"</a>\0", b"<" + b"a" * MAX_LINK_BYTES])
def test_what_is_malformed_or_endless_is_left_out(link: bytes) -> None:
    """One link that cannot be sent does not keep the others."""
    assert early_links([(b"link", link), (b"link", STYLE)]) == [STYLE]


def test_there_are_only_so_many_for_one_response() -> None:
    """Those that were passed on before count."""
    headers = [(b"link", b"</%d>" % number) for number in range(100)]
    assert len(early_links(headers)) == MAX_LINKS
    assert len(early_links(headers, {b"</x%d>" % number for number in range(MAX_LINKS - 1)})) == 1
    assert early_links(headers, {b"</x%d>" % number for number in range(MAX_LINKS + 1)}) == []
