"""Hosts of routes and of requests, label by label."""

import pytest

from hydra_asgi.core.routing.host_pattern import host_labels, parse_host_pattern
from hydra_asgi.core.routing.template import Segment, SegmentKind
from hydra_asgi.errors import TemplateError


def test_a_pattern_is_read_from_the_right() -> None:
    """The last label comes first; a parameter takes one label, the leftmost one the rest."""
    assert parse_host_pattern("{tenant}.{region}.Example.org:8000") == (
        Segment(SegmentKind.LITERAL, "org"),
        Segment(SegmentKind.LITERAL, "example"),
        Segment(SegmentKind.PARAMETER, "region"),
        Segment(SegmentKind.REST, "tenant"),
    )


def test_an_address_is_one_label() -> None:
    """IPv6 in brackets holds no labels."""
    assert parse_host_pattern("[::1]:80") == (Segment(SegmentKind.LITERAL, "[::1]"),)
    assert host_labels("[2001:DB8::1]:8080") == ("[2001:db8::1]",)


@pytest.mark.parametrize("text", ["a..b", "", "api-{x}.org", "a/b", "a b.org", "é.org", "{a}{b}.org", "*.org"])
def test_other_labels_are_refused(text: str) -> None:
    """A label is a name or a parameter, not both and nothing else."""
    with pytest.raises(TemplateError, match="neither a name nor a parameter"):
        parse_host_pattern(text)


def test_a_long_host_is_refused() -> None:
    """No host name is longer than 253 characters."""
    with pytest.raises(TemplateError, match="300 characters"):
        parse_host_pattern("a" * 300)


@pytest.mark.parametrize(
    ("host", "labels"),
    [
        ("Shop.Example.ORG", ("org", "example", "shop")),
        ("shop.example.org:8443", ("org", "example", "shop")),
        ("shop.example.org.", ("org", "example", "shop")),
        ("127.0.0.1:80", ("1", "0", "0", "127")),
        ("", ()),
        ("a" * 300, ()),
    ],
)
def test_case_port_and_final_dot_make_no_difference(host: str, labels: tuple[str, ...]) -> None:
    """A request's host is compared by its labels alone."""
    assert host_labels(host) == labels
