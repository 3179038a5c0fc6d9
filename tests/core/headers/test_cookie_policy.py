"""Which cookies a service gets."""

import pytest

from hydra_asgi.core.headers.cookie_policy import allowed_for, only_cookies


@pytest.mark.parametrize(("service", "expected"), [("orders", {"sid"}), ("legacy", set()), ("other", {"lang"})])
def test_rules(service: str, expected: set[str]) -> None:
    """A service's own rule counts, else the one for all; an empty one lets nothing through."""
    rules = {"orders": {"sid"}, "legacy": set[str](), "*": {"lang"}}
    assert allowed_for(rules, service) == expected


def test_without_a_rule() -> None:
    """Where nothing is said, there is nothing to do."""
    assert allowed_for({"orders": {"sid"}}, "other") is None


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ([b"sid=1; other=2; lang=de"], [b"sid=1; lang=de"]),
        ([b"sid=1;lang=de"], [b"sid=1; lang=de"]),
        ([b"other=2"], []),
        ([b"sid=1", b"other=2", b"lang=de"], [b"sid=1", b"lang=de"]),
        ([b"SID=1; sid =2; sid=a=b; sid"], [b"sid =2; sid=a=b; sid"]),
        ([b"sid=1; sid=2"], [b"sid=1; sid=2"]),
        ([b""], []),
        ([b"; ;=x;"], []),
        ([b'sid="a; other=b"'], [b'sid="a']),
        ([b"\xffsid=1; sid=\xff"], [b"sid=\xff"]),
    ],
)
def test_cookies(sent: list[bytes], kept: list[bytes]) -> None:
    """Only the named ones stay, byte for byte, also where one stands twice; an empty field goes."""
    fields = [(b"a", b"sid=0"), *((b"cookie", value) for value in sent), (b"b", b"x")]
    expected = [(b"a", b"sid=0"), *((b"cookie", value) for value in kept), (b"b", b"x")]
    assert only_cookies(fields, {"sid", "lang"}) == expected
