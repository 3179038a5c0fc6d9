"""The name of one instance inside URLs: ten decimal digits that every peer can read as a positive 31-bit integer.

The older Medusa line parses the value as a 32-bit signed integer (CONTRACT.md 9.3); ten digits keep it apart from
anything a site is likely to use as a path segment.
"""

from hashlib import blake2b

from hydra_asgi.core.instance import Address

__all__ = ["MAX_TOKEN", "MIN_TOKEN", "first_token", "next_token", "parse_token"]

MIN_TOKEN = 1_000_000_000
"""The smallest number of ten digits."""

MAX_TOKEN = 2_147_483_647
"""The largest 32-bit signed integer."""

_DIGITS = 10


def first_token(service: str, address: Address | str) -> int:
    """The token an instance gets when no other instance has it: made from its identity, so that it survives restarts.

    Args:
        service: the service's name.
        address: the instance's address, or its text form.
    """
    digest = blake2b(f"{service}\n{address}".encode(), digest_size=8).digest()
    return MIN_TOKEN + int.from_bytes(digest, "big") % (MAX_TOKEN - MIN_TOKEN + 1)


def next_token(token: int) -> int:
    """The token to try when `token` is taken; after the last one comes the first."""
    return MIN_TOKEN if token >= MAX_TOKEN else token + 1


def parse_token(segment: str) -> int | None:
    """Read a path segment as a token; None when it is none, so that `/12/...` stays an ordinary path."""
    # isascii first: isdigit alone accepts digits of other scripts, which int() would even convert.
    if len(segment) != _DIGITS or not segment.isascii() or not segment.isdigit():
        return None
    token = int(segment)
    return token if MIN_TOKEN <= token <= MAX_TOKEN else None
