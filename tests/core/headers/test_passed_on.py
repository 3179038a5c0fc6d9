"""Whether a request came through a proxy."""

import pytest

from hydra_asgi.core.headers.passed_on import proxy_field


@pytest.mark.parametrize("name", [b"forwarded", b"Via", b"X-Real-IP", b"x-forwarded-for", b"X-Forwarded-Anything"])
def test_what_only_a_proxy_adds_is_found(name: bytes) -> None:
    """It is named in lower case, whatever stands before it."""
    assert proxy_field([(b"accept", b"*/*"), (name, b"1")]) == name.lower()


def test_a_request_without_such_a_field_came_straight() -> None:
    """Names that only look like them are none."""
    assert proxy_field([(b"x-forwardedfor", b"1"), (b"viaduct", b"1"), (b"x-real-ip-2", b"1")]) is None
