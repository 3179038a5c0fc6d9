"""The key that decides which version and instance a user gets: an opaque name in the cookie `hydra-key`.

The first node a request meets reads or mints it, hands it on in the header `Hydra-Key`, and alone sets the cookie. A
key chooses among instances and grants nothing, so a key that a client made up is as good as ours.
"""

import re

__all__ = ["COOKIE", "HEADER", "cookie_field", "key_in_cookie", "may_set_cookie", "read_key"]

COOKIE = b"hydra-key"
HEADER = b"hydra-key"

MAX_AGE = 30 * 24 * 3600
"""Thirty days: long enough to keep a canary group together, short enough to be reshuffled one day."""

_KEY = re.compile(rb"[A-Za-z0-9_-]{16,64}")
_IN_COOKIE = re.compile(rb"(?:^|;)[ \t]*" + COOKIE + rb"=\"?([A-Za-z0-9_-]{16,64})\"?[ \t]*(?:;|$)")

_PRIVATE = (b"no-store", b"private", b"no-cache")


def read_key(headers: list[tuple[bytes, bytes]]) -> str:
    """The user's key from `Hydra-Key` or the cookie; "" when there is none or it is malformed."""
    found = ""
    for name, value in headers:
        if name == HEADER and _KEY.fullmatch(value):
            return value.decode("ascii")
        if name == b"cookie" and not found and COOKIE in value:
            found = key_in_cookie(value)
    return found


def key_in_cookie(value: bytes) -> str:
    """The key in one `Cookie` field; "" when there is none or it is malformed."""
    match = _IN_COOKIE.search(value)
    return match[1].decode("ascii") if match else ""


def cookie_field(key: str, *, secure: bool) -> bytes:
    """The value of the `Set-Cookie` field that keeps `key` with the user (RFC 6265 section 4.1)."""
    field = b"%s=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax" % (COOKIE, key.encode("ascii"), MAX_AGE)
    return field + b"; Secure" if secure else field


def may_set_cookie(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the cookie may ride on this response.

    A response that a shared cache may keep would hand one user's key to everybody: it may be one that says so, and
    one that says nothing but carries a validator or an expiry, from which caches guess (RFC 9111 section 4.2.2).
    """
    control = b",".join(value for name, value in headers if name.lower() == b"cache-control").lower()
    if any(word in control for word in _PRIVATE):
        return True
    if control:
        return False
    return not any(name.lower() in (b"etag", b"last-modified", b"expires") for name, _ in headers)
